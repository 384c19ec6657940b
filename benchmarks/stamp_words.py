"""The names of the folders of Tux Paint's stamps that say what is seen, and in Chinese."""

WORDS = {
    "alphabets": "字母", "animals": "动物", "asl": "手语", "birds": "鸟", "bovines": "牛羊", "cartoon": "卡通", "christmas": "圣诞节",
    "clothes": "衣物", "coins": "硬币", "english": "英文", "filled": "实心", "flowers": "花", "food": "食物", "fruit": "水果",
    "halloween": "万圣节", "hobbies": "爱好", "household": "家居", "houses": "房屋", "insects": "昆虫", "lowercase": "小写",
    "mammals": "哺乳动物", "math": "数学", "money": "货币", "music": "音乐", "outlined": "空心", "plants": "植物", "roadsigns": "路标",
    "seasonal": "节日", "space": "太空", "sports": "体育", "symbols": "符号", "town": "城镇", "uppercase": "大写", "vegetables": "蔬菜",
    "vehicles": "交通工具",
}  # fmt: skip
