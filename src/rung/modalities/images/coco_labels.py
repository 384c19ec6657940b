"""The 80 kinds of things of COCO that packaged detectors find, and what else people call them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from unicodedata import normalize

# In the order of the detector's channels, each with its Chinese name.
COCO: Mapping[str, str] = {
    "person": "人", "bicycle": "自行车", "car": "汽车", "motorcycle": "摩托车", "airplane": "飞机", "bus": "公共汽车",
    "train": "火车", "truck": "卡车", "boat": "船", "traffic light": "红绿灯", "fire hydrant": "消防栓",
    "stop sign": "停车标志", "parking meter": "停车计时器", "bench": "长椅", "bird": "鸟", "cat": "猫", "dog": "狗",
    "horse": "马", "sheep": "羊", "cow": "牛", "elephant": "大象", "bear": "熊", "zebra": "斑马", "giraffe": "长颈鹿",
    "backpack": "背包", "umbrella": "雨伞", "handbag": "手提包", "tie": "领带", "suitcase": "行李箱", "frisbee": "飞盘",
    "skis": "滑雪板", "snowboard": "单板滑雪板", "sports ball": "球", "kite": "风筝", "baseball bat": "棒球棒",
    "baseball glove": "棒球手套", "skateboard": "滑板", "surfboard": "冲浪板", "tennis racket": "网球拍", "bottle": "瓶子",
    "wine glass": "酒杯", "cup": "杯子", "fork": "叉子", "knife": "刀", "spoon": "勺子", "bowl": "碗", "banana": "香蕉",
    "apple": "苹果", "sandwich": "三明治", "orange": "橙子", "broccoli": "西兰花", "carrot": "胡萝卜", "hot dog": "热狗",
    "pizza": "披萨", "donut": "甜甜圈", "cake": "蛋糕", "chair": "椅子", "couch": "沙发", "potted plant": "盆栽",
    "bed": "床", "dining table": "餐桌", "toilet": "马桶", "tv": "电视", "laptop": "笔记本电脑", "mouse": "鼠标",
    "remote": "遥控器", "keyboard": "键盘", "cell phone": "手机", "microwave": "微波炉", "oven": "烤箱",
    "toaster": "烤面包机", "sink": "水槽", "refrigerator": "冰箱", "book": "书", "clock": "时钟", "vase": "花瓶",
    "scissors": "剪刀", "teddy bear": "泰迪熊", "hair drier": "吹风机", "toothbrush": "牙刷",
}  # fmt: skip
# Names of Pascal VOC and of everyday use.
_ALSO: Mapping[str, str] = {
    "aeroplane": "airplane", "plane": "airplane", "motorbike": "motorcycle", "bike": "bicycle", "sofa": "couch",
    "diningtable": "dining table", "table": "dining table", "pottedplant": "potted plant", "plant": "potted plant",
    "tvmonitor": "tv", "monitor": "tv", "television": "tv", "people": "person", "pedestrian": "person", "man": "person",
    "woman": "person", "phone": "cell phone", "mobile phone": "cell phone", "fridge": "refrigerator", "mug": "cup",
    "automobile": "car", "lorry": "truck", "ship": "boat", "doughnut": "donut", "hairdryer": "hair drier",
    "行人": "person", "轿车": "car", "单车": "bicycle", "公交车": "bus", "货车": "truck", "茶杯": "cup", "小汽车": "car",
}  # fmt: skip


def coco_name(label: str) -> str:
    """Return the thing of COCO that a label means, in English or Chinese; "" when it means none of the 80."""
    return _KNOWN.get(_plain(label), "")


def coco_channels(labels: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return, a channel, the label that it is answered with ("": none), and the labels that mean none of the 80.

    Of two labels that mean the same thing the first is answered, and the other is among those that are not.
    """
    chosen: dict[str, str] = {}
    unknown = []
    for label in labels:
        name = coco_name(label)
        if name and name not in chosen:
            chosen[name] = label
        else:
            unknown.append(label)
    return tuple(chosen.get(name, "") for name in COCO), tuple(unknown)


def _plain(label: str) -> str:
    words = re.sub(r"[\s_\-]+", " ", normalize("NFKC", label)).strip().casefold()
    return words if words in _NAMES or not words.endswith("s") else words.removesuffix("s")


_NAMES = {*COCO, *_ALSO}
_KNOWN = {name: name for name in COCO} | {zh: name for name, zh in COCO.items()} | dict(_ALSO)
