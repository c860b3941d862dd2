//===- DeviceRows.cpp - What a step on a GPU gives of its rows ------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rows of output, or what was chosen from them.
//
//===----------------------------------------------------------------------===//

#include "runtime/Device/DeviceModel.h"

#include <algorithm>
#include <cstring>

using namespace clade::rt;

/// Where candidates begin in the staged memory, behind the DrawnToken of each
/// row.
static uint64_t candidatesOffset(int32_t rows) {
  return (static_cast<uint64_t>(rows) * sizeof(DrawnToken) + 63) / 64 * 64;
}

DeviceStep::Rows DeviceStep::allRows(int32_t count) {
  if (!count)
    return {};
  return {{0, count}};
}

DeviceStep::Rows DeviceStep::rowsWithLogits(std::span<const ChosenRow> chosen) {
  Rows rows;
  for (size_t i = 0; i < chosen.size(); ++i) {
    auto row = static_cast<int32_t>(i);
    if (!chosen[i].hasLogits)
      continue;
    if (rows.empty() || rows.back().first + rows.back().second < row)
      rows.emplace_back(row, 0);
    ++rows.back().second;
  }
  return rows;
}

/// What is launched for rows of output: nothing (Row), what finds the largest
/// (Largest), or what also draws (Any).
DrawKind DeviceStep::launchesFor(std::span<const TokenDraw> draws) const {
  auto isAsked = [&](auto... kinds) {
    return std::ranges::any_of(draws, [&](const TokenDraw &draw) {
      return ((draw.kind == kinds) || ...);
    });
  };
  if (entry->plan.draws && isAsked(DrawKind::Any, DrawKind::Candidates))
    return DrawKind::Any;
  return entry->plan.greedy && isAsked(DrawKind::Largest) ? DrawKind::Largest
                                                          : DrawKind::Row;
}

Status DeviceStep::downloadRows(const Rows &rows) {
  uint64_t rowBytes = static_cast<uint64_t>(entry->outputWidth) * sizeof(float);
  for (auto [first, count] : rows) {
    uint64_t offset = static_cast<uint64_t>(first) * rowBytes;
    counted.rows += count;
    CLADE_RETURN_IF_ERROR(
        queue->download(stagedOutput.data() + offset, output.address() + offset,
                        static_cast<uint64_t>(count) * rowBytes));
  }
  return {};
}

void DeviceStep::copyRows(const Rows &rows, float *to) {
  auto width = static_cast<size_t>(entry->outputWidth);
  for (auto [first, count] : rows) {
    size_t offset = static_cast<size_t>(first) * width;
    std::memcpy(to + offset, stagedOutput.data() + offset * sizeof(float),
                static_cast<size_t>(count) * width * sizeof(float));
  }
}

Status DeviceStep::downloadChoices(const Shape &shape,
                                   std::span<const TokenDraw> draws) {
  if (shape.draws == DrawKind::Row)
    return {};
  uint64_t behind = candidatesOffset(shape.selected),
           bytes = static_cast<uint64_t>(shape.selected * candidatesBytes);
  if (stagedDraws.size() < behind + bytes) {
    CLADE_ASSIGN_OR_RETURN(
        stagedDraws, PinnedBuffer::allocate(queue->device(), behind + bytes,
                                            "the tokens of a step"));
  }
  auto rows = static_cast<uint64_t>(shape.selected);
  if (shape.draws == DrawKind::Largest)
    return queue->download(stagedDraws.data(),
                           addressOf(entry->plan.greedy->tokens, shape),
                           rows * sizeof(int32_t));
  const LaunchDraws &plan = *entry->plan.draws;
  CLADE_RETURN_IF_ERROR(queue->download(stagedDraws.data(),
                                        addressOf(plan.rows, shape),
                                        rows * sizeof(DrawnToken)));
  if (std::ranges::find(draws, DrawKind::Candidates, &TokenDraw::kind) ==
      draws.end())
    return {};
  return queue->download(stagedDraws.data() + behind,
                         addressOf(plan.candidates, shape), bytes);
}

DeviceStep::Rows DeviceStep::readChoices(const Shape &shape,
                                         std::span<const TokenDraw> draws,
                                         std::span<ChosenRow> chosen) const {
  Rows late;
  const char *tokens = stagedDraws.data(),
             *candidates = tokens + candidatesOffset(shape.selected);
  for (size_t i = 0; i < chosen.size(); ++i) {
    ChosenRow &row = chosen[i];
    if (row.hasLogits)
      continue;
    if (shape.draws == DrawKind::Largest) {
      std::memcpy(&row.drawn.token, tokens + i * sizeof(int32_t),
                  sizeof(int32_t));
      continue;
    }
    std::memcpy(&row.drawn, tokens + i * sizeof(DrawnToken),
                sizeof(DrawnToken));
    if (draws[i].kind != DrawKind::Candidates)
      continue;
    int32_t count = row.drawn.candidates;
    row.hasLogits = count < 0 || count > maxCandidates;
    if (row.hasLogits)
      late.emplace_back(static_cast<int32_t>(i), 1);
    else
      row.candidates = {
          reinterpret_cast<const TokenCandidate *>(
              candidates + i * static_cast<size_t>(candidatesBytes)),
          static_cast<size_t>(count)};
  }
  return late;
}
