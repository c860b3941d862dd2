#===- prompts.py - Eight texts for the real model ---------------------------===#
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
#
# Prose, code, tables and several scripts, each longer than the 64 tokens that
# are taken from it.
#
#===------------------------------------------------------------------------===#
TEXTS = [
    "The lighthouse keeper climbed the stairs every evening at the same hour, carrying a can of oil in one hand and a "
    "notebook in the other. He wrote down the wind, the height of the waves and the names of the ships that passed, "
    "although nobody had asked him to. When the letter from the harbour office finally arrived, it said",
    "def merge(left, right):\n    \"\"\"Merges two sorted lists.\"\"\"\n    result = []\n    i = j = 0\n    while i < "
    "len(left) and j < len(right):\n        if left[i] <= right[j]:\n            result.append(left[i])\n            "
    "i += 1\n        else:\n            result.append(right[j])\n            j += 1\n    result.extend(left[i:])\n",
    "Die Geschichte der Brücke beginnt im Jahr 1742, als ein Hochwasser die alte Furt unpassierbar machte. Der Rat der "
    "Stadt bat einen Baumeister aus Prag um Hilfe, doch dieser verlangte mehr Geld, als die Kasse hergab. Nach langen "
    "Verhandlungen einigte man sich darauf, dass die Bürger Steine und Holz selbst liefern.",
    "春になると、川沿いの道は桜の花で覆われる。朝早く散歩に出ると、まだ人の少ない橋の上から、遠くの山に残る雪が見える。"
    "祖父はいつも同じ場所で立ち止まり、若い頃に見た景色の話をしてくれた。その話の中で、町は今よりずっと小さく、"
    "川には魚がたくさんいて、夏の夜には蛍が飛んでいたという。私はその話を聞くのが好きだった。",
    "| Year | Population | Area (km²) | Density |\n|------|-----------:|-----------:|--------:|\n| 1990 | 1,204,311 | "
    "842.6 | 1,429 |\n| 2000 | 1,318,902 | 842.6 | 1,565 |\n| 2010 | 1,450,077 | 851.3 | 1,703 |\n| 2020 | 1,611,540 | "
    "851.3 |",
    "Question: A train leaves at 9:40 and arrives at 13:05 after a stop of 15 minutes. It travels 246 kilometres. What "
    "is its average speed while it moves? Answer: The journey takes 3 hours and 25 minutes. Without the stop it moves "
    "for 3 hours and 10 minutes, which is 190 minutes. The average speed is therefore",
    "Первое, что он заметил, войдя в библиотеку, была тишина. Старые книги стояли на полках до самого потолка, и свет "
    "падал на них через узкие окна. За столом сидела женщина и переписывала что-то в большую тетрадь. Она подняла "
    "глаза, улыбнулась и спросила, что именно он ищет, потому что каталог",
    "{\"name\": \"weather-station\", \"version\": \"2.4.1\", \"sensors\": [{\"id\": 17, \"kind\": \"temperature\", "
    "\"unit\": \"°C\", \"range\": [-40, 85]}, {\"id\": 18, \"kind\": \"humidity\", \"unit\": \"%\", \"range\": [0, 100]}, "
    "{\"id\": 19, \"kind\": \"pressure\",",
]
