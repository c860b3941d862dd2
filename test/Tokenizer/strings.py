#===- strings.py - Varied texts for comparing tokenizers -----------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===----------------------------------------------------------------------===#
#
# The same texts every time: many scripts, emoji, combining marks, white space,
# code, URLs, numbers, special tokens, and bytes that are not UTF-8.
#
#===----------------------------------------------------------------------===#

import random
import unicodedata

SENTENCES = """
The quick brown fox jumps over the lazy dog.|She said: "I don't know; they're gone, we've lost it!"
I'll go, you'd stay, he's late, we'RE HERE, IT'S FINE, o'clock.|Naïve café façade, coöperate, Ångström, fiancée.
Der Fluß fließt über die Straße; Ärger, Öl, Übermut, GROẞE.|El niño comió piñas; ¿qué más? ¡Olé!
L'été dernier, où étais-tu ? Œuvre, æther, cœur.|Zażółć gęślą jaźń. Příliš žluťoučký kůň úpěl ďábelské ódy.
Ğıİşçöü İstanbul'da ılık bir gün; DİYARBAKIR.|Съешь ещё этих мягких французских булок, да выпей чаю.
Ξεσκεπάζω την ψυχοφθόρα βδελυγμία· ΟΔΥΣΣΕΥΣ.|שלום עולם, מה שלומך היום? בְּרֵאשִׁית בָּרָא
مرحبا بالعالم، كيف حالك؟ الْعَرَبِيَّة ۱۲۳ ١٢٣|नमस्ते दुनिया, आप कैसे हैं? क्षत्रिय ज्ञान १२३
আমার সোনার বাংলা, আমি তোমায় ভালোবাসি। ৪৫৬|தமிழ் மொழி அழகானது. ௧௨௩ ஸ்ரீ
ಕನ್ನಡ ನಾಡು, తెలుగు భాష, മലയാളം ഭാഷ, ગુજરાતી, ਪੰਜਾਬੀ|สวัสดีชาวโลก วันนี้อากาศดีมาก ๑๒๓ น้ำ กำลัง
ສະບາຍດີ, မင်္ဂလာပါ, សួស្តី, བཀྲ་ཤིས་བདེ་ལེགས།|გამარჯობა მსოფლიო, Բարեւ աշխարհ, ሰላም ልዑል
你好，世界！今天天气怎么样？我們去吃飯吧。|日本語のテキスト：カタカナ、ひらがな、漢字。ﾊﾝｶｸ ｶﾞｷﾞｸﾞ ㌔㌢㍻
안녕하세요 세계! 한국어 문장입니다. 각|ＦＵＬＬＷＩＤＴＨ　ｔｅｘｔ　１２３　（括弧）
def f(x: int) -> str:\\n\\treturn f"{x!r:>10}"  # comment|for (int i = 0; i < n; ++i) { a[i] += b[i] * c; }
#include <vector>\\nint main() { std::cout << "hi\\\\n"; }|SELECT * FROM t WHERE a >= 10 AND b LIKE '%x_y%';
<div class="a-b">&nbsp;<br/></div>|{"key": [1, 2.5e-10, null, true], "ключ": "值"}
https://example.com/path?q=a%20b&r=1#frag|user.name+tag@sub.example.co.uk, ftp://10.0.0.1:21/
C:\\\\Users\\\\me\\\\file.txt and /usr/local/bin/x-y_z|3.14159 1,000,000 1e10 0xDEADBEEF 12345678901234567890 ½ ² Ⅷ ①
$5.99 €10 £20 ¥300 ₹50 50% 20°C ±1 × ÷ ≠ ≤ ∞ ∑∫√|x² + y² = z²; α→β ⇒ ∀x∈ℝ: ℏω ≈ 𝔼[𝐗]
“Quotes” ‘single’ «guillemets» „low“ … – — • † ‡ § ¶|a\\tb\\t\\tc\\n\\n\\nd \\r\\n e\\r f\\v\\f g
"""

EMOJI = ["😀", "🤷🏽‍♀️", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "🇯🇵🇺🇸", "❤️", "☎", "1️⃣",
         "👍🏿", "🧑‍🚀", "🫠", "🥲", "🩷", "🫨", "⌚️", "™️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "♟", "©"]

SPACES = [" ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", "\r", "\x0b", "\x0c", " ",
          "\u2003", "\u3000", "\u200b", "\u200d", "\ufeff", "\u2028", "\u2029", "\x85",
          "\u180e", "\u1680", "\u202f", "        ", "\n   \n", " \n ", "\t\t\t", "▁", "▁▁",
          "\x00", "\x1c", "\x7f", "\u00ad", "\u2060"]

SPECIAL = ["<bos>", "<eos>", "<unk>", "<pad>", "<start_of_turn>", "</s>", "<s>", "[CLS]",
           "[SEP]", "[UNK]", "[MASK]", "<|endoftext|>", "<0x0A>", "<0xE2>", "##ing",
           "<unused5>", "<mask>", "Ġ", "Ċ", "added", "ADDED", " word ", "<Ünï>", "lstrip",
           "rstrip"]

INVALID = [b"\xff", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\xaf",
           b"\xf4\x90\x80\x80", b"\x80\x80", b"\xe2\x28\xa1", b"\xf8\x88\x80\x80\x80",
           b"\xf0\x9f", b"\xfe\xfe", b"\xe0\x80\xaf", b"a\xcc", b"\xf0\x80\x80\x80"]

# First and last code points of the scripts that random text is drawn from.
BLOCKS = [(0x20, 0x7E), (0xA0, 0xFF), (0x100, 0x24F), (0x250, 0x2AF), (0x2B0, 0x2FF),
          (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x52F), (0x530, 0x58F), (0x591, 0x5F4),
          (0x600, 0x6FF), (0x700, 0x74F), (0x780, 0x7BF), (0x900, 0x97F), (0x980, 0x9FF),
          (0xA00, 0xA7F), (0xB80, 0xBFF), (0xC00, 0xC7F), (0xD00, 0xD7F), (0xE00, 0xE7F),
          (0xE80, 0xEFF), (0xF00, 0xFFF), (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1100, 0x11FF),
          (0x1200, 0x137F), (0x13A0, 0x13FF), (0x1400, 0x167F), (0x1780, 0x17FF),
          (0x1800, 0x18AF), (0x1AB0, 0x1AFF), (0x1D00, 0x1DBF), (0x1E00, 0x1EFF),
          (0x1F00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x209F), (0x20A0, 0x20CF),
          (0x20D0, 0x20FF), (0x2100, 0x214F), (0x2150, 0x218F), (0x2190, 0x21FF),
          (0x2200, 0x22FF), (0x2300, 0x23FF), (0x2460, 0x24FF), (0x2500, 0x257F),
          (0x2600, 0x27BF), (0x2800, 0x28FF), (0x2C00, 0x2DFF), (0x2E00, 0x2E7F),
          (0x2E80, 0x2FDF), (0x3000, 0x303F), (0x3041, 0x30FF), (0x3100, 0x318F),
          (0x3200, 0x33FF), (0x3400, 0x34FF), (0x4E00, 0x9FFF), (0xA000, 0xA4CF),
          (0xA640, 0xA69F), (0xA720, 0xA7FF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF),
          (0xFB00, 0xFB4F), (0xFB50, 0xFDFF), (0xFE20, 0xFE6F), (0xFE70, 0xFEFF),
          (0xFF00, 0xFFEF), (0x10000, 0x100FF), (0x10300, 0x1034F), (0x10400, 0x1044F),
          (0x11000, 0x1107F), (0x12000, 0x123FF), (0x13000, 0x1342F), (0x1D100, 0x1D1FF),
          (0x1D400, 0x1D7FF), (0x1F000, 0x1F0FF), (0x1F100, 0x1F2FF), (0x1F300, 0x1F9FF),
          (0x1FA70, 0x1FAFF), (0x20000, 0x20FFF), (0x2F800, 0x2FA1F), (0x30000, 0x300FF),
          (0xE000, 0xE0FF), (0xE0020, 0xE007F), (0xE0100, 0xE01EF), (0x31350, 0x3136F)]


def sentences():
    lines = SENTENCES.strip("\n").split("\n")
    texts = [text for line in lines for text in line.split("|")]
    return [text.replace("\\\\", "\0").replace("\\n", "\n").replace("\\t", "\t")
            .replace("\\r", "\r").replace("\\v", "\x0b").replace("\\f", "\x0c")
            .replace("\0", "\\") for text in texts]


def random_block(rng):
    first, last = rng.choice(BLOCKS)
    return "".join(chr(rng.randint(first, last)) for _ in range(rng.randint(1, 12)))


def random_word(rng):
    kind = rng.randrange(8)
    letters = "abcdefghijklmnopqrstuvwxyz"
    word = "".join(rng.choice(letters) for _ in range(rng.randint(1, 9)))
    if kind == 0:
        return word.upper()
    if kind == 1:
        return word.capitalize()
    if kind == 2:
        return str(rng.randrange(10 ** rng.randint(1, 12)))
    if kind == 3:
        return word + rng.choice("'s 't 're 've 'm 'll 'd n't 'S 'ſ".split())
    if kind == 4:
        return rng.choice(".,;:!?-_()[]{}<>/\\|@#$%^&*+=~`\"'") * rng.randint(1, 4)
    if kind == 5:
        marks = rng.choice(word) + chr(rng.randint(0x300, 0x36F)) * rng.randint(1, 3)
        return word + marks
    return word


def compose(rng, known):
    """One text out of parts of every kind."""
    parts = []
    for _ in range(rng.randint(1, 8)):
        kind = rng.randrange(10)
        if kind <= 2:
            text = rng.choice(known)
            start = rng.randrange(len(text))
            parts.append(text[start:start + rng.randint(1, 30)])
        elif kind <= 4:
            parts.append(random_word(rng))
        elif kind == 5:
            parts.append(random_block(rng))
        elif kind == 6:
            parts.append(rng.choice(EMOJI))
        elif kind == 7:
            parts.append(rng.choice(SPECIAL))
        else:
            parts.append(rng.choice(SPACES))
        if rng.randrange(2):
            parts.append(rng.choice(SPACES[:4]))
    return "".join(parts)


def every_character():
    """All assigned characters, 16 in a row, first bare and then within words."""
    assigned = [chr(c) for c in range(0x110000)
                if not 0xD800 <= c < 0xE000
                and unicodedata.category(chr(c)) not in ("Cn", "Co")]
    for start in range(0, len(assigned), 16):
        row = assigned[start:start + 16]
        yield "".join(row).encode()
        yield "".join("a" + c + "b " for c in row).encode()


def texts(count=12000, seed=20240229):
    """At least `count` different texts as bytes, some of them invalid UTF-8."""
    rng = random.Random(seed)
    known = sentences()
    result = [b""] + [text.encode() for text in known + EMOJI + SPACES + SPECIAL]
    result += [" ".join(known).encode(), ("x" * 5000).encode(), (" " * 300).encode(),
               ("日本" * 1000).encode(), ("\n" * 100).encode(), ("ab" * 70).encode(),
               ("word " * 500).encode(), ("é" * 700).encode()]
    result += INVALID + [b"x" + bad + b"y " + bad for bad in INVALID]
    seen = set(result)
    while len(result) < count:
        text = compose(rng, known).encode()
        if rng.randrange(12) == 0:
            cut = rng.randrange(len(text) + 1)
            text = text[:cut] + rng.choice(INVALID) + text[cut:]
        if text not in seen:
            seen.add(text)
            result.append(text)
    return result
