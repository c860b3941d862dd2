//===- FragmentTables.h - The ISA's fragment layouts ------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Row and column of element i of lane `laneid`, as the text of the PTX ISA
// gives them (9.7.14.5.1 to 13 for mma, 9.7.15.5.1.1 for wgmma): formula by
// formula, with its names, and no more general than the text is.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_PTX_FRAGMENTTABLES_H
#define CLADE_TEST_PTX_FRAGMENTTABLES_H

#include <string_view>
#include <vector>

namespace isa {

struct Place {
  int row, column;
};
using Formula = Place (*)(int laneid, int i);

/// One row of the ISA's tables: a shape for one size of the elements.
struct Layout {
  const char *name;
  int m, n, k;
  int bits;                            ///< Of an element of A and B.
  int elementsA, elementsB, elementsC; ///< Of a thread.
  Formula a, b, c;
};

inline int groupID(int laneid) { return laneid >> 2; }
inline int threadIDInGroup(int laneid) { return laneid % 4; }

/// Accumulators of all m16n8 shapes.
inline Place accumulator16x8(int laneid, int i) {
  return {i < 2 ? groupID(laneid) : groupID(laneid) + 8,
          threadIDInGroup(laneid) * 2 + (i & 0x1)};
}
/// Accumulators of all m8n8 shapes with groups.
inline Place accumulator8x8(int laneid, int i) {
  return {groupID(laneid), threadIDInGroup(laneid) * 2 + i};
}

inline const std::vector<Layout> &layouts() {
  static const std::vector<Layout> table = {
      {"m8n8k4.f64", 8, 8, 4, 64, 1, 1, 2,
       [](int laneid, int) -> Place { return {laneid >> 2, laneid % 4}; },
       [](int laneid, int) -> Place { return {laneid % 4, laneid >> 2}; },
       accumulator8x8},
      {"m8n8k16.s8", 8, 8, 16, 8, 4, 4, 2,
       [](int laneid, int i) -> Place {
         return {groupID(laneid), threadIDInGroup(laneid) * 4 + i};
       },
       [](int laneid, int i) -> Place {
         return {threadIDInGroup(laneid) * 4 + i, groupID(laneid)};
       },
       accumulator8x8},
      {"m8n8k32.s4", 8, 8, 32, 4, 8, 8, 2,
       [](int laneid, int i) -> Place {
         return {groupID(laneid), threadIDInGroup(laneid) * 8 + i};
       },
       [](int laneid, int i) -> Place {
         return {threadIDInGroup(laneid) * 8 + i, groupID(laneid)};
       },
       accumulator8x8},
      {"m8n8k128.b1", 8, 8, 128, 1, 32, 32, 2,
       [](int laneid, int i) -> Place {
         return {groupID(laneid), threadIDInGroup(laneid) * 32 + i};
       },
       [](int laneid, int i) -> Place {
         return {threadIDInGroup(laneid) * 32 + i, groupID(laneid)};
       },
       accumulator8x8},
      {"m16n8k4.tf32", 16, 8, 4, 32, 2, 1, 4,
       [](int laneid, int i) -> Place {
         return {i == 0 ? groupID(laneid) : groupID(laneid) + 8,
                 threadIDInGroup(laneid)};
       },
       [](int laneid, int) -> Place {
         return {threadIDInGroup(laneid), groupID(laneid)};
       },
       accumulator16x8},
      {"m16n8k4.f64", 16, 8, 4, 64, 2, 1, 4,
       [](int laneid, int i) -> Place {
         return {i == 0 ? groupID(laneid) : groupID(laneid) + 8,
                 threadIDInGroup(laneid)};
       },
       [](int laneid, int) -> Place {
         return {threadIDInGroup(laneid), groupID(laneid)};
       },
       accumulator16x8},
      {"m16n8k8.f16", 16, 8, 8, 16, 4, 2, 4,
       [](int laneid, int i) -> Place {
         return {i == 0 || i == 1 ? groupID(laneid) : groupID(laneid) + 8,
                 threadIDInGroup(laneid) * 2 + (i & 0x1)};
       },
       [](int laneid, int i) -> Place {
         return {threadIDInGroup(laneid) * 2 + i, groupID(laneid)};
       },
       accumulator16x8},
      {"m16n8k8.tf32", 16, 8, 8, 32, 4, 2, 4,
       [](int laneid, int i) -> Place {
         return {i == 0 || i == 2 ? groupID(laneid) : groupID(laneid) + 8,
                 i == 0 || i == 1 ? threadIDInGroup(laneid)
                                  : threadIDInGroup(laneid) + 4};
       },
       [](int laneid, int i) -> Place {
         return {i == 0 ? threadIDInGroup(laneid) : threadIDInGroup(laneid) + 4,
                 groupID(laneid)};
       },
       accumulator16x8},
      {"m16n8k8.f64", 16, 8, 8, 64, 4, 2, 4,
       [](int laneid, int i) -> Place {
         return {i == 0 || i == 2 ? groupID(laneid) : groupID(laneid) + 8,
                 i == 0 || i == 1 ? threadIDInGroup(laneid)
                                  : threadIDInGroup(laneid) + 4};
       },
       [](int laneid, int i) -> Place {
         return {i == 0 ? threadIDInGroup(laneid) : threadIDInGroup(laneid) + 4,
                 groupID(laneid)};
       },
       accumulator16x8},
      {"m16n8k16.f16", 16, 8, 16, 16, 8, 4, 4,
       [](int laneid, int i) -> Place {
         bool isUpper = (0 <= i && i < 2) || (4 <= i && i < 6);
         return {isUpper ? groupID(laneid) : groupID(laneid) + 8,
                 i < 4 ? threadIDInGroup(laneid) * 2 + (i & 0x1)
                       : threadIDInGroup(laneid) * 2 + (i & 0x1) + 8};
       },
       [](int laneid, int i) -> Place {
         return {i < 2 ? threadIDInGroup(laneid) * 2 + (i & 0x1)
                       : threadIDInGroup(laneid) * 2 + (i & 0x1) + 8,
                 groupID(laneid)};
       },
       accumulator16x8},
      {"m16n8k16.f64", 16, 8, 16, 64, 8, 4, 4,
       [](int laneid, int i) -> Place {
         return {i % 2 == 0 ? groupID(laneid) : groupID(laneid) + 8,
                 i % 2 == 0 ? i * 2 + threadIDInGroup(laneid)
                            : i * 2 - 2 + threadIDInGroup(laneid)};
       },
       [](int laneid, int i) -> Place {
         return {threadIDInGroup(laneid) + i * 4, groupID(laneid)};
       },
       accumulator16x8},
      {"m16n8k16.s8", 16, 8, 16, 8, 8, 4, 4,
       [](int laneid, int i) -> Place {
         return {i < 4 ? groupID(laneid) : groupID(laneid) + 8,
                 threadIDInGroup(laneid) * 4 + (i & 0x3)};
       },
       [](int laneid, int i) -> Place {
         return {threadIDInGroup(laneid) * 4 + i, groupID(laneid)};
       },
       accumulator16x8},
      {"m16n8k32.s4", 16, 8, 32, 4, 16, 8, 4,
       [](int laneid, int i) -> Place {
         return {i < 8 ? groupID(laneid) : groupID(laneid) + 8,
                 threadIDInGroup(laneid) * 8 + (i & 0x7)};
       },
       [](int laneid, int i) -> Place {
         return {threadIDInGroup(laneid) * 8 + (i & 0x7), groupID(laneid)};
       },
       accumulator16x8},
      {"m16n8k32.s8", 16, 8, 32, 8, 16, 8, 4,
       [](int laneid, int i) -> Place {
         bool isUpper = (0 <= i && i < 4) || (8 <= i && i < 12);
         return {isUpper ? groupID(laneid) : groupID(laneid) + 8,
                 i < 8 ? threadIDInGroup(laneid) * 4 + (i & 0x3)
                       : threadIDInGroup(laneid) * 4 + (i & 0x3) + 16};
       },
       [](int laneid, int i) -> Place {
         return {i < 4 ? threadIDInGroup(laneid) * 4 + (i & 0x3)
                       : threadIDInGroup(laneid) * 4 + (i & 0x3) + 16,
                 groupID(laneid)};
       },
       accumulator16x8},
      {"m16n8k64.s4", 16, 8, 64, 4, 32, 16, 4,
       [](int laneid, int i) -> Place {
         bool isUpper = (0 <= i && i < 8) || (16 <= i && i < 24);
         return {isUpper ? groupID(laneid) : groupID(laneid) + 8,
                 i < 16 ? threadIDInGroup(laneid) * 8 + (i & 0x7)
                        : threadIDInGroup(laneid) * 8 + (i & 0x7) + 32};
       },
       [](int laneid, int i) -> Place {
         return {i < 8 ? threadIDInGroup(laneid) * 8 + (i & 0x7)
                       : threadIDInGroup(laneid) * 8 + (i & 0x7) + 32,
                 groupID(laneid)};
       },
       accumulator16x8},
      {"m16n8k128.b1", 16, 8, 128, 1, 64, 32, 4,
       [](int laneid, int i) -> Place {
         return {i < 32 ? groupID(laneid) : groupID(laneid) + 8,
                 threadIDInGroup(laneid) * 32 + (i & 0x1F)};
       },
       [](int laneid, int i) -> Place {
         return {threadIDInGroup(laneid) * 32 + i, groupID(laneid)};
       },
       accumulator16x8},
      {"m16n8k256.b1", 16, 8, 256, 1, 128, 64, 4,
       [](int laneid, int i) -> Place {
         bool isUpper = (0 <= i && i < 32) || (64 <= i && i < 96);
         // The text has "+ i" for i < 64; the figure shows (i & 0x1F).
         return {isUpper ? groupID(laneid) : groupID(laneid) + 8,
                 i < 64 ? threadIDInGroup(laneid) * 32 + (i & 0x1F)
                        : threadIDInGroup(laneid) * 32 + (i & 0x1F) + 128};
       },
       [](int laneid, int i) -> Place {
         return {i < 32 ? threadIDInGroup(laneid) * 32 + (i & 0x1F)
                        : threadIDInGroup(laneid) * 32 + (i & 0x1F) + 128,
                 groupID(laneid)};
       },
       accumulator16x8},
  };
  return table;
}

//===--- mma.m8n8k4 with .f16: places in the quad pair's own matrix ---===//

inline Place quadA(bool isRow, int laneid, int i) {
  if (isRow)
    return {laneid < 16 ? laneid % 4 : (laneid % 4) + 4, i};
  return {laneid < 16 ? i % 4 : (i % 4) + 4, laneid % 4};
}
inline Place quadB(bool isRow, int laneid, int i) {
  if (isRow)
    return {laneid % 4, laneid < 16 ? i : i + 4};
  return {i, laneid < 16 ? laneid % 4 : (laneid % 4) + 4};
}
inline Place quadC16(int laneid, int i) {
  return {laneid < 16 ? laneid % 4 : (laneid % 4) + 4, i};
}
inline Place quadC32(int laneid, int i) {
  int x = (laneid & 0b1) + (i & 0b10);
  return {laneid < 16 ? x : x + 4, (i & 0b100) + (laneid & 0b10) + (i & 0b1)};
}
/// Which of the four products a lane takes part in.
inline int quadOf(int laneid) { return laneid % 16 / 4; }

//===--- wgmma, from its figures: rows of 16 for each warp ---===//

inline Place warpgroupD(int thread, int i) {
  int warp = thread / 32, laneid = thread % 32;
  return {warp * 16 + groupID(laneid) + (i % 4 < 2 ? 0 : 8),
          i / 4 * 8 + threadIDInGroup(laneid) * 2 + (i & 0x1)};
}
/// A in registers: as A of mma.m16n8k16 .f16, m16n8k8 .tf32, m16n8k32 .s8.
inline Place warpgroupA(Formula ofMma, int thread, int i) {
  Place place = ofMma(thread % 32, i);
  return {thread / 32 * 16 + place.row, place.column};
}

inline const Layout &layout(const char *name) {
  for (const Layout &row : layouts())
    if (std::string_view(row.name) == name)
      return row;
  __builtin_trap();
}

} // namespace isa

#endif // CLADE_TEST_PTX_FRAGMENTTABLES_H
