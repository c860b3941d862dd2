//===- LaunchPlan.cpp - The launches of a step on a GPU -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Device/LaunchPlan.h"

#include "runtime/Device/TokenDraw.h"
#include "runtime/Support/Json.h"
#include "runtime/Support/Text.h"
#include "runtime/Weights/WeightJson.h"

#include <array>
#include <tuple>
#include <utility>

using namespace clade::rt;
using nlohmann::json;

namespace {

constexpr int64_t planVersion = 8;
constexpr int64_t maxBytes = int64_t(1) << 50;
/// Bytes of a choice that is made and told.
constexpr int64_t choiceSize = 2 * sizeof(int32_t);

using Space = LaunchArgument::Space;
constexpr std::array<std::pair<Space, const char *>, 8> spaceNames = {{
    {Space::Fixed, "fixed"},
    {Space::Token, "token"},
    {Space::Selected, "selected"},
    {Space::Output, "output"},
    {Space::Input, "input"},
    {Space::Choices, "choices"},
    {Space::Weight, "weight"},
    {Space::State, "state"},
}};

const char *nameOf(Space space) {
  for (auto [value, name] : spaceNames)
    if (value == space)
      return name;
  return "";
}

/// The member `key` of `object`, an array.
StatusOr<const json *> readArray(const json &object, const char *key) {
  auto it = object.find(key);
  if (it == object.end() || !it->is_array())
    return Status::corruption("expected an array '" + std::string(key) + "'");
  return &*it;
}

StatusOr<LaunchKernel> readKernel(const json &value) {
  if (!value.is_object())
    return Status::corruption("expected an object");
  CLADE_RETURN_IF_ERROR(rejectUnknownKeys(
      value, {"rows", "columns", "rows_per_block", "threads", "shared"}));
  CLADE_ASSIGN_OR_RETURN(std::string rows, readString(value, "rows"));
  if (rows != "token" && rows != "selected")
    return Status::corruption("'rows': expected 'token' or 'selected', got " +
                              quoteName(rows));
  LaunchKernel kernel;
  kernel.onSelected = rows == "selected";
  struct Member {
    const char *name;
    int32_t &number;
    int32_t low, high;
  };
  for (const Member &member :
       {Member{"columns", kernel.columns, 1, INT32_MAX},
        Member{"rows_per_block", kernel.rowsPerBlock, 1, 1 << 16},
        Member{"threads", kernel.threads, 1, 1024},
        Member{"shared", kernel.sharedBytes, 0, 1 << 20}}) {
    CLADE_ASSIGN_OR_RETURN(int64_t number,
                           readInteger(value, member.name, member.high));
    if (number < member.low)
      return Status::corruption("'" + std::string(member.name) +
                                "': expected at least 1, got 0");
    member.number = static_cast<int32_t>(number);
  }
  return kernel;
}

StatusOr<LaunchMap> readMap(const json &value, Space space) {
  if (!value.is_object())
    return Status::corruption("expected an object, got " + value.dump());
  CLADE_RETURN_IF_ERROR(
      rejectUnknownKeys(value, {"columns", "rows", "box_columns", "box_rows"}));
  if (space != Space::Weight && space != Space::Token)
    return Status::corruption("expected weights or rows of tokens, got '" +
                              std::string(nameOf(space)) + "'");
  LaunchMap map;
  for (auto [name, number, step, high] :
       {std::tuple("columns", &map.columns, 8, INT32_MAX),
        {"box_columns", &map.boxColumns, 8, 64},
        {"box_rows", &map.boxRows, 1, 256}}) {
    CLADE_ASSIGN_OR_RETURN(int64_t read, readInteger(value, name, high));
    if (read < 1 || read % step != 0)
      return Status::corruption(
          "'" + std::string(name) + "': expected a multiple of " +
          std::to_string(step) + ", got " + std::to_string(read));
    *number = static_cast<int32_t>(read);
  }
  if (value.contains("rows") != (space == Space::Weight))
    return Status::corruption("expected 'rows' for weights alone");
  if (space == Space::Weight) {
    CLADE_ASSIGN_OR_RETURN(map.rows, readInteger(value, "rows", INT32_MAX));
    if (map.rows < 1)
      return Status::corruption("'rows': expected at least 1, got 0");
  }
  return map;
}

StatusOr<LaunchArgument> readArgument(const json &value, const LaunchPlan &plan,
                                      int64_t weights, int64_t states) {
  if (!value.is_array() || value.size() < 2 || value.size() > 3 ||
      !value[0].is_string() || !value[1].is_number_unsigned())
    return Status::corruption(
        "expected an argument as a name and a number, got " + value.dump());
  auto number = value[1].get<uint64_t>();
  for (auto [space, name] : spaceNames) {
    if (value[0] != name)
      continue;
    int64_t end = space == Space::Fixed      ? plan.fixedBytes
                  : space == Space::Token    ? plan.tokenBytes
                  : space == Space::Selected ? plan.selectedBytes
                  : space == Space::Input    ? numLaunchInputs
                  : space == Space::Choices  ? plan.choiceBytes
                  : space == Space::Weight   ? weights
                  : space == Space::State    ? states
                                             : 1;
    if (number >= static_cast<uint64_t>(end))
      return Status::corruption(
          "'" + std::string(name) + "': expected a number below " +
          std::to_string(end) + ", got " + std::to_string(number));
    LaunchArgument argument{space, static_cast<int64_t>(number)};
    if (value.size() == 2)
      return argument;
    StatusOr<LaunchMap> map = readMap(value[2], space);
    if (!map.ok())
      return map.takeStatus().withContext("tensor map");
    argument.map = *map;
    return argument;
  }
  return Status::corruption("unknown argument " + value[0].dump());
}

StatusOr<Launch> readLaunch(const json &value, const LaunchPlan &plan,
                            int64_t weights, int64_t states) {
  if (!value.is_object())
    return Status::corruption("expected an object");
  CLADE_RETURN_IF_ERROR(
      rejectUnknownKeys(value, {"kernel", "arguments", "min_rows", "max_rows",
                                "columns", "min_longest", "max_shortest"}));
  Launch launch;
  CLADE_ASSIGN_OR_RETURN(launch.kernel, readString(value, "kernel"));
  if (!plan.kernels.count(launch.kernel))
    return Status::corruption("unknown kernel " + quoteName(launch.kernel));
  CLADE_ASSIGN_OR_RETURN(const json *list, readArray(value, "arguments"));
  for (const json &item : *list) {
    CLADE_ASSIGN_OR_RETURN(LaunchArgument argument,
                           readArgument(item, plan, weights, states));
    launch.arguments.push_back(argument);
  }
  for (auto [name, number] : {std::pair("min_rows", &launch.minRows),
                              {"max_rows", &launch.maxRows},
                              {"min_longest", &launch.minLongest},
                              {"max_shortest", &launch.maxShortest}}) {
    if (!value.contains(name))
      continue;
    CLADE_ASSIGN_OR_RETURN(int64_t rows, readInteger(value, name, INT32_MAX));
    *number = static_cast<int32_t>(rows);
  }
  if (launch.minRows < 1 || launch.maxRows < launch.minRows)
    return Status::corruption("expected rows from at least 1 on, got " +
                              std::to_string(launch.minRows) + " to " +
                              std::to_string(launch.maxRows));
  if (launch.minLongest < 1 || launch.maxShortest < 1)
    return Status::corruption(
        "'min_longest' and 'max_shortest': expected at least 1, got " +
        std::to_string(launch.minLongest) + " and " +
        std::to_string(launch.maxShortest));
  if (value.contains("columns")) {
    CLADE_ASSIGN_OR_RETURN(int64_t columns,
                           readInteger(value, "columns", INT32_MAX));
    if (columns < 1)
      return Status::corruption("'columns': expected at least 1, got 0");
    launch.columns = static_cast<int32_t>(columns);
  }
  return launch;
}

StatusOr<LaunchRouter> readRouter(const json &value, const LaunchPlan &plan) {
  if (!value.is_object())
    return Status::corruption("expected an object");
  CLADE_RETURN_IF_ERROR(
      rejectUnknownKeys(value, {"offset", "layer", "active", "experts"}));
  LaunchRouter router;
  CLADE_ASSIGN_OR_RETURN(router.offset, readInteger(value, "offset", maxBytes));
  for (auto [name, number] : {std::pair("layer", &router.layer),
                              {"active", &router.active},
                              {"experts", &router.experts}}) {
    CLADE_ASSIGN_OR_RETURN(int64_t read, readInteger(value, name, INT32_MAX));
    *number = static_cast<int32_t>(read);
  }
  int64_t end = router.offset + int64_t(router.active) * choiceSize;
  if (router.active < 1 || router.active > router.experts ||
      end > plan.choiceBytes || router.offset % 4 != 0)
    return Status::corruption("expected 1 to " +
                              std::to_string(router.experts) + " choices in " +
                              std::to_string(plan.choiceBytes) +
                              " bytes, got " + std::to_string(router.active) +
                              " behind " + std::to_string(router.offset));
  return router;
}

StatusOr<LaunchTrace> readTrace(const json &value, const LaunchPlan &plan) {
  if (!value.is_object())
    return Status::corruption("expected an object");
  CLADE_RETURN_IF_ERROR(
      rejectUnknownKeys(value, {"launches", "value", "row_bytes"}));
  LaunchTrace trace;
  CLADE_ASSIGN_OR_RETURN(
      trace.launches, readInteger(value, "launches",
                                  static_cast<int64_t>(plan.launches.size())));
  int64_t first = plan.traces.empty() ? 1 : plan.traces.back().launches;
  if (trace.launches < first)
    return Status::corruption("'launches': expected at least " +
                              std::to_string(first) + ", got " +
                              std::to_string(trace.launches));
  CLADE_ASSIGN_OR_RETURN(const json *place, readArray(value, "value"));
  CLADE_ASSIGN_OR_RETURN(trace.value, readArgument(*place, plan, 0, 0));
  Space space = trace.value.space;
  if (trace.value.map || (space != Space::Token && space != Space::Selected &&
                          space != Space::Output))
    return Status::corruption("expected rows of tokens or of the output");
  CLADE_ASSIGN_OR_RETURN(trace.rowBytes,
                         readInteger(value, "row_bytes", maxBytes));
  int64_t end = space == Space::Token      ? plan.tokenBytes
                : space == Space::Selected ? plan.selectedBytes
                                           : maxBytes;
  if (trace.rowBytes < 1 || trace.rowBytes > end - trace.value.number)
    return Status::corruption("'row_bytes': expected 1 to " +
                              std::to_string(end - trace.value.number) +
                              ", got " + std::to_string(trace.rowBytes));
  return trace;
}

/// The member `launches` of `value`.
StatusOr<std::vector<Launch>> readLaunches(const json &value,
                                           const LaunchPlan &plan,
                                           int64_t weights, int64_t states) {
  CLADE_ASSIGN_OR_RETURN(const json *list, readArray(value, "launches"));
  std::vector<Launch> launches;
  for (const json &item : *list) {
    StatusOr<Launch> launch = readLaunch(item, plan, weights, states);
    if (!launch.ok())
      return launch.takeStatus().withContext("launch " +
                                             std::to_string(launches.size()));
    launches.push_back(std::move(*launch));
  }
  return launches;
}

/// The member `key` of `value`: where rows of selected tokens have `bytes`
/// bytes each of what `key` says.
StatusOr<LaunchArgument> readResult(const json &value, const char *key,
                                    int64_t bytes, const LaunchPlan &plan) {
  CLADE_ASSIGN_OR_RETURN(const json *place, readArray(value, key));
  CLADE_ASSIGN_OR_RETURN(LaunchArgument result,
                         readArgument(*place, plan, 0, 0));
  if (result.map || result.space != Space::Selected ||
      result.number > plan.selectedBytes - bytes)
    return Status::corruption("expected " + std::string(key) + " of " +
                              std::to_string(bytes) + " bytes in the " +
                              std::to_string(plan.selectedBytes) +
                              " of selected rows, got " + place->dump());
  return result;
}

StatusOr<LaunchGreedy> readGreedy(const json &value, const LaunchPlan &plan,
                                  int64_t weights, int64_t states) {
  if (!value.is_object())
    return Status::corruption("expected an object");
  CLADE_RETURN_IF_ERROR(rejectUnknownKeys(value, {"launches", "tokens"}));
  LaunchGreedy greedy;
  CLADE_ASSIGN_OR_RETURN(greedy.launches,
                         readLaunches(value, plan, weights, states));
  CLADE_ASSIGN_OR_RETURN(greedy.tokens,
                         readResult(value, "tokens", sizeof(int32_t), plan));
  return greedy;
}

StatusOr<LaunchDraws> readDraws(const json &value, const LaunchPlan &plan,
                                int64_t weights, int64_t states) {
  if (!value.is_object())
    return Status::corruption("expected an object");
  CLADE_RETURN_IF_ERROR(
      rejectUnknownKeys(value, {"launches", "rows", "candidates"}));
  LaunchDraws draws;
  CLADE_ASSIGN_OR_RETURN(draws.launches,
                         readLaunches(value, plan, weights, states));
  CLADE_ASSIGN_OR_RETURN(draws.rows,
                         readResult(value, "rows", sizeof(DrawnToken), plan));
  CLADE_ASSIGN_OR_RETURN(
      draws.candidates, readResult(value, "candidates", candidatesBytes, plan));
  return draws;
}

StatusOr<LaunchPlan> readPlan(const json &value, int64_t weights,
                              int64_t states) {
  if (!value.is_object())
    return Status::corruption("expected an object");
  CLADE_RETURN_IF_ERROR(rejectUnknownKeys(
      value, {"version", "fixed_bytes", "token_bytes", "selected_bytes",
              "choice_bytes", "kernels", "launches", "routers", "traces",
              "greedy", "draws"}));
  CLADE_ASSIGN_OR_RETURN(int64_t version,
                         readInteger(value, "version", INT32_MAX));
  if (version != planVersion)
    return Status::unsupported("expected version " +
                               std::to_string(planVersion) + ", got " +
                               std::to_string(version));
  LaunchPlan plan;
  CLADE_ASSIGN_OR_RETURN(plan.fixedBytes,
                         readInteger(value, "fixed_bytes", maxBytes));
  CLADE_ASSIGN_OR_RETURN(plan.tokenBytes,
                         readInteger(value, "token_bytes", maxBytes));
  CLADE_ASSIGN_OR_RETURN(plan.selectedBytes,
                         readInteger(value, "selected_bytes", maxBytes));
  CLADE_ASSIGN_OR_RETURN(plan.choiceBytes,
                         readInteger(value, "choice_bytes", maxBytes));
  auto kernels = value.find("kernels");
  if (kernels == value.end() || !kernels->is_object())
    return Status::corruption("expected an object 'kernels'");
  for (const auto &item : kernels->items()) {
    StatusOr<LaunchKernel> kernel = readKernel(item.value());
    if (!kernel.ok())
      return kernel.takeStatus().withContext(quoteName(item.key()));
    plan.kernels[item.key()] = *kernel;
  }
  CLADE_ASSIGN_OR_RETURN(plan.launches,
                         readLaunches(value, plan, weights, states));
  CLADE_ASSIGN_OR_RETURN(const json *routers, readArray(value, "routers"));
  for (const json &item : *routers) {
    StatusOr<LaunchRouter> router = readRouter(item, plan);
    if (!router.ok())
      return router.takeStatus().withContext(
          "router " + std::to_string(plan.routers.size()));
    plan.routers.push_back(*router);
  }
  if (auto it = value.find("greedy"); it != value.end()) {
    StatusOr<LaunchGreedy> greedy = readGreedy(*it, plan, weights, states);
    if (!greedy.ok())
      return greedy.takeStatus().withContext("'greedy'");
    plan.greedy = std::move(*greedy);
  }
  if (auto it = value.find("draws"); it != value.end()) {
    StatusOr<LaunchDraws> draws = readDraws(*it, plan, weights, states);
    if (!draws.ok())
      return draws.takeStatus().withContext("'draws'");
    plan.draws = std::move(*draws);
  }
  if (!value.contains("traces"))
    return plan;
  CLADE_ASSIGN_OR_RETURN(const json *traces, readArray(value, "traces"));
  for (const json &item : *traces) {
    StatusOr<LaunchTrace> trace = readTrace(item, plan);
    if (!trace.ok())
      return trace.takeStatus().withContext("trace " +
                                            std::to_string(plan.traces.size()));
    plan.traces.push_back(*trace);
  }
  return plan;
}

json writeMap(const LaunchMap &map) {
  json value{{"columns", map.columns},
             {"box_columns", map.boxColumns},
             {"box_rows", map.boxRows}};
  if (map.rows)
    value["rows"] = map.rows;
  return value;
}

json writePlace(const LaunchArgument &argument) {
  json place = json::array({nameOf(argument.space), argument.number});
  if (argument.map)
    place.push_back(writeMap(*argument.map));
  return place;
}

json writeLaunches(const std::vector<Launch> &launches) {
  json list = json::array();
  for (const Launch &launch : launches) {
    json arguments = json::array();
    for (const LaunchArgument &argument : launch.arguments)
      arguments.push_back(writePlace(argument));
    json item{{"kernel", launch.kernel}, {"arguments", arguments}};
    if (launch.minRows > 1)
      item["min_rows"] = launch.minRows;
    if (launch.maxRows < INT32_MAX)
      item["max_rows"] = launch.maxRows;
    if (launch.minLongest > 1)
      item["min_longest"] = launch.minLongest;
    if (launch.maxShortest < INT32_MAX)
      item["max_shortest"] = launch.maxShortest;
    if (launch.columns)
      item["columns"] = *launch.columns;
    list.push_back(std::move(item));
  }
  return list;
}

} // namespace

std::string LaunchPlan::toJson() const {
  json kernelList = json::object();
  for (const auto &[name, kernel] : kernels)
    kernelList[name] = {{"rows", kernel.onSelected ? "selected" : "token"},
                        {"columns", kernel.columns},
                        {"rows_per_block", kernel.rowsPerBlock},
                        {"threads", kernel.threads},
                        {"shared", kernel.sharedBytes}};
  json routerList = json::array();
  for (const LaunchRouter &router : routers)
    routerList.push_back({{"offset", router.offset},
                          {"layer", router.layer},
                          {"active", router.active},
                          {"experts", router.experts}});
  json plan{{"version", planVersion},
            {"fixed_bytes", fixedBytes},
            {"token_bytes", tokenBytes},
            {"selected_bytes", selectedBytes},
            {"choice_bytes", choiceBytes},
            {"kernels", kernelList},
            {"launches", writeLaunches(launches)},
            {"routers", routerList}};
  if (greedy)
    plan["greedy"] = {{"launches", writeLaunches(greedy->launches)},
                      {"tokens", writePlace(greedy->tokens)}};
  if (draws)
    plan["draws"] = {{"launches", writeLaunches(draws->launches)},
                     {"rows", writePlace(draws->rows)},
                     {"candidates", writePlace(draws->candidates)}};
  for (const LaunchTrace &trace : traces)
    plan["traces"].push_back({{"launches", trace.launches},
                              {"value", writePlace(trace.value)},
                              {"row_bytes", trace.rowBytes}});
  return plan.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

StatusOr<LaunchPlan> LaunchPlan::fromJson(std::string_view text,
                                          int64_t weights, int64_t states) {
  CLADE_ASSIGN_OR_RETURN(json value, parseJson(text));
  return readPlan(value, weights, states);
}
