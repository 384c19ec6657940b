// Files of a field: chosen, dropped anywhere on the page, pasted, or taken with the camera.
function fileBox(widget) {
  const parent = $("fields"), box = element("input", undefined, parent), tools = element("div", undefined, parent), shown = element("div", undefined, parent);
  box.type = "file"; box.accept = widget.accept; box.required = true; box.className = "drop"; shown.className = "preview"; tools.className = "tools";
  box.addEventListener("change", () => preview(box, shown, widget));
  if (widget.accept.includes("image/")) {
    element("small", words.drop, tools);
    // Browsers offer the camera on pages of https and of this machine.
    if (navigator.mediaDevices && navigator.mediaDevices.getUserMedia) button(words.camera, tools, () => film(box, shown));
  }
  return box;
}
function preview(box, shown, widget) {
  stopCamera();
  shown.querySelectorAll("[src]").forEach((e) => URL.revokeObjectURL(e.src));
  shown.replaceChildren(); box.setCustomValidity("");
  const file = box.files[0];
  if (!file) return;
  const megabytes = (size) => (size / 2 ** 20).toFixed(1);
  if (file.size > widget.max_bytes) {
    const large = say("large", { mb: megabytes(widget.max_bytes) });
    box.setCustomValidity(large); element("p", large, shown); return;
  }
  const tag = { image: "img", audio: "audio", video: "video" }[file.type.split("/")[0]];
  if (tag) {
    const holder = tag === "img" ? element("span", undefined, shown) : shown;
    if (tag === "img") holder.className = "heat";
    const media = element(tag, undefined, holder);
    media.src = URL.createObjectURL(file); media.alt = file.name; media.controls = tag !== "img";
    media.addEventListener("error", () => media.remove()); // A format that this browser cannot show.
  }
  element("small", file.name + ", " + megabytes(file.size) + " MB", shown);
}
// Puts a file into a field as if it had been chosen there.
function give(box, file) {
  const list = new DataTransfer(); list.items.add(file);
  box.files = list.files; box.dispatchEvent(new Event("change"));
  $("answer").replaceChildren();
}
// The field that a dropped or pasted file goes to: the one under the pointer, else the first empty one, else the first.
function fileTarget(event) {
  const all = [...document.querySelectorAll("#fields input[type=file]")];
  return all.find((box) => box === event.target) || all.find((box) => !box.files.length) || all[0];
}
function takeFile(event, list) {
  const box = fileTarget(event), file = list && list[0];
  if (!box || !file || $("form").hidden) return;
  event.preventDefault(); give(box, file);
}
document.addEventListener("dragover", (event) => { if (fileTarget(event)) { event.preventDefault(); document.body.classList.add("dropping"); } });
for (const name of ["dragleave", "drop"]) document.addEventListener(name, () => document.body.classList.remove("dropping"));
document.addEventListener("drop", (event) => takeFile(event, event.dataTransfer && event.dataTransfer.files));
document.addEventListener("paste", (event) => takeFile(event, event.clipboardData && event.clipboardData.files));
let filming = null;
function stopCamera() { if (filming) filming.getTracks().forEach((track) => track.stop()); filming = null; }
// Shows what the camera sees until a picture is taken; nothing leaves the page before the form is sent.
async function film(box, shown) {
  stopCamera(); shown.replaceChildren();
  try { filming = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } }); }
  catch (error) { problem(words.no_camera, shown); return; }
  const video = element("video", undefined, shown); video.autoplay = video.muted = video.playsInline = true; video.srcObject = filming;
  const take = button(words.take, shown, () => {
    const canvas = document.createElement("canvas"); canvas.width = video.videoWidth; canvas.height = video.videoHeight;
    canvas.getContext("2d").drawImage(video, 0, 0);
    canvas.toBlob((blob) => blob && give(box, new File([blob], "camera.jpg", { type: "image/jpeg" })), "image/jpeg", 0.92);
  });
  take.disabled = true; video.addEventListener("playing", () => { take.disabled = false; take.focus(); });
}
