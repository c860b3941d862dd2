//===- main.cpp - The PTX machine as a tool -------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Buffer.h"
#include "LaunchFile.h"
#include "Report.h"

#include "lib/PTX/Parser.h"

#include <CLI/CLI.hpp>

#include <cmath>
#include <cstdio>

using namespace clade::ptx;

namespace {

constexpr const char *description =
    R"(Runs CUDA kernels without a GPU: executes PTX on the CPU and reports what a GPU
does not: accesses out of bounds, values never initialised, barriers that not
all threads reach, deadlocks and more.

  nvcc -ptx -arch=sm_90a add.cu        a kernel's PTX
  clade-ptx --list add.ptx             its kernels and their parameters
  clade-ptx add.ptx --launch add.json  run one

A launch file names the kernel, its shape, its parameters and its buffers:

  {"kernel": "add", "grid": 4, "block": 256,
   "buffers": {
     "a": {"type": "f32", "count": 1000, "fill": "iota"},
     "b": {"type": "f32", "count": 1000, "fill": {"uniform": 1}},
     "c": {"type": "f32", "count": 1000, "print": 8}},
   "parameters": [{"buffer": "a"}, {"buffer": "b"}, {"buffer": "c"},
                  {"s32": 1000}]}

docs/ptx.md describes every key. The exit status is 0 if all is well, 1 after
an error, 2 if there are findings or a comparison fails.)";

struct Options {
  std::string ptx;
  std::string launch;
  bool lists = false;
  bool printsJson = false;
  bool annotates = false;
  bool isDeterministic = false;
  unsigned workers = 0;
  std::vector<std::string> without;
  std::vector<std::string> gpus;
  std::string registers;
};

int fail(const Error &error) {
  std::fprintf(stderr, "clade-ptx: %s\n", error.str().c_str());
  return 1;
}

Status placeBuffers(Machine &machine, LaunchFile &launch) {
  for (BufferSpec &buffer : launch.buffers) {
    auto address = machine.allocate(buffer.count * sizeOf(buffer.type));
    if (!address)
      return address.error();
    buffer.address = *address;
    if (buffer.initial)
      if (auto status = machine.copyIn(*address, buffer.initial->data(),
                                       buffer.initial->size());
          !status)
        return status;
  }
  return Done();
}

/// Puts the parameters where the kernel has them.
Status packParameters(const Function &kernel, LaunchFile &launch) {
  std::string name(kernel.name);
  if (launch.parameters.size() != kernel.parameters.size())
    return Error{"kernel '" + name + "' has " +
                 std::to_string(kernel.parameters.size()) +
                 " parameters, the launch file has " +
                 std::to_string(launch.parameters.size())};
  std::vector<uint8_t> packed(kernel.parameterBytes);
  for (size_t i = 0; i < kernel.parameters.size(); ++i) {
    const Parameter &formal = kernel.parameters[i];
    ParameterSpec &actual = launch.parameters[i];
    for (const BufferSpec &buffer : launch.buffers)
      if (buffer.name == actual.buffer) {
        auto bytes = bufferParameter(actual, buffer);
        if (!bytes)
          return bytes.error();
        actual.bytes = std::move(*bytes);
      }
    if (actual.bytes.size() != formal.size)
      return Error{"parameter " + std::to_string(i) + " of kernel '" + name +
                   "' ('" + std::string(formal.name) + "') has " +
                   std::to_string(formal.size) +
                   " bytes, the launch file gives " +
                   std::to_string(actual.bytes.size())};
    std::copy(actual.bytes.begin(), actual.bytes.end(),
              packed.begin() + std::ptrdiff_t(formal.offset));
  }
  launch.options.parameters = std::move(packed);
  return Done();
}

/// Prints where a buffer differs from what is expected; whether it does not.
bool compareBuffer(const BufferSpec &buffer, const std::vector<uint8_t> &found,
                   FILE *out) {
  unsigned bytes = sizeOf(buffer.type);
  uint64_t differing = 0, first = 0;
  for (uint64_t i = 0; i < buffer.count; ++i) {
    const uint8_t *a = found.data() + i * bytes,
                  *b = buffer.expected->data() + i * bytes;
    if (std::equal(a, a + bytes, b))
      continue;
    double x = elementValue(buffer.type, a), y = elementValue(buffer.type, b);
    bool isClose =
        buffer.tolerance > 0 &&
        std::fabs(x - y) <= buffer.tolerance * std::max(1.0, std::fabs(y));
    if (isClose)
      continue;
    first = differing ? first : i;
    ++differing;
  }
  if (!differing) {
    std::fprintf(out, "%s: equals what is expected\n", buffer.name.c_str());
    return true;
  }
  std::fprintf(
      out,
      "%s: %llu of %llu elements differ; element %llu is %s, expected %s\n",
      buffer.name.c_str(), static_cast<unsigned long long>(differing),
      static_cast<unsigned long long>(buffer.count),
      static_cast<unsigned long long>(first),
      elementText(buffer.type, found.data() + first * bytes).c_str(),
      elementText(buffer.type, buffer.expected->data() + first * bytes)
          .c_str());
  return false;
}

/// Prints, saves and compares the buffers; whether all comparisons hold.
Result<bool> finishBuffers(const Machine &machine, const LaunchFile &launch,
                           FILE *out) {
  bool isGood = true;
  for (const BufferSpec &buffer : launch.buffers) {
    if (!buffer.printCount && buffer.save.empty() && !buffer.expected)
      continue;
    std::vector<uint8_t> bytes(buffer.count * sizeOf(buffer.type));
    if (auto status =
            machine.copyOut(bytes.data(), buffer.address, bytes.size());
        !status)
      return status.error();
    if (buffer.printCount) {
      std::fprintf(out, "%s:", buffer.name.c_str());
      for (uint64_t i = 0; i < buffer.printCount; ++i)
        std::fprintf(
            out, " %s",
            elementText(buffer.type, bytes.data() + i * sizeOf(buffer.type))
                .c_str());
      std::fputs(buffer.printCount < buffer.count ? " …\n" : "\n", out);
      auto unwritten = machine.countUninitialised(buffer.address, bytes.size());
      if (unwritten && *unwritten)
        std::fprintf(out, "%s: %llu of %zu bytes were never written\n",
                     buffer.name.c_str(),
                     static_cast<unsigned long long>(*unwritten), bytes.size());
    }
    if (!buffer.save.empty())
      if (auto status = writeFile(buffer.save, bytes); !status)
        return status.error();
    if (buffer.expected)
      isGood &= compareBuffer(buffer, bytes, out);
  }
  return isGood;
}

Status applyOptions(const Options &options, LaunchOptions &launch) {
  launch.deterministic = options.isDeterministic;
  launch.workers = options.workers;
  for (const std::string &name : options.without) {
    if (name == "uninitialised")
      launch.checks.uninitialised = false;
    else if (name == "races")
      launch.checks.races = false;
    else if (name == "async")
      launch.checks.async = false;
    else if (name == "counters")
      launch.counters = false;
    else
      return Error{"--without " + name +
                   ": expected uninitialised, races, async or counters"};
  }
  if (!options.gpus.empty() && !launch.counters)
    return Error{"--gpu needs the counters (--without counters)"};
  if (!options.gpus.empty())
    launch.traceCapacity = predictionTrace;
  return Done();
}

/// Puts out what a launch did and what it would take on GPUs.
void printReport(const Options &options, const Module &module,
                 const Kernel &kernel, const LaunchReport &report,
                 const std::vector<KernelPrediction> &predictions) {
  if (options.annotates) {
    const Traffic *traffic = nullptr;
    for (const KernelPrediction &one : predictions)
      if (!traffic && one.prediction.obstacle.empty())
        traffic = &one.prediction.traffic;
    std::fputs(
        annotatedText(module, kernel.function(), report, traffic).c_str(),
        options.printsJson ? stderr : stdout);
  }
  if (options.printsJson) {
    std::fputs(reportJson(module, report, predictions).c_str(), stdout);
    return;
  }
  std::fputs(reportText(module, report).c_str(), stdout);
  for (const KernelPrediction &one : predictions)
    std::fputs(predictionText(one).c_str(), stdout);
}

int run(const Options &options) {
  auto text = readFile(options.ptx);
  if (!text)
    return fail(text.error());
  auto parsed =
      parse(std::string_view(reinterpret_cast<const char *>(text->data()),
                             text->size()),
            options.ptx);
  if (!parsed)
    return fail(parsed.error());
  if (options.lists) {
    std::fputs(listText(*parsed).c_str(), stdout);
    return 0;
  }
  if (options.launch.empty())
    return fail({"expected --launch FILE or --list (--help shows both)"});
  auto launch = readLaunchFile(options.launch);
  if (!launch)
    return fail(launch.error());
  if (auto status = applyOptions(options, launch->options); !status)
    return fail(status.error());
  auto gpus = chooseGpus(options.gpus);
  if (!gpus)
    return fail(gpus.error());
  if (launch->kernel.empty())
    for (const Function &function : parsed->functions)
      if (function.isKernel)
        launch->kernel =
            launch->kernel.empty() ? std::string(function.name) : "?";
  if (launch->kernel == "?")
    return fail({"the module has several kernels; the launch file must name "
                 "one ('kernel')",
                 options.launch});
  Machine machine;
  auto id = machine.load(std::move(*parsed));
  if (!id)
    return fail(id.error());
  auto kernel = machine.findKernel(*id, launch->kernel);
  if (!kernel)
    return fail(kernel.error());
  if (auto status = placeBuffers(machine, *launch); !status)
    return fail(status.error());
  if (auto status = packParameters(kernel->function(), *launch); !status)
    return fail(status.error());
  auto registers =
      RegisterSource::make(options.registers, options.ptx, launch->kernel);
  if (!registers)
    return fail(registers.error());
  // With --json the standard output is JSON only.
  FILE *out = options.printsJson ? stderr : stdout;
  launch->options.print = [out](std::string_view printed) {
    std::fwrite(printed.data(), 1, printed.size(), out);
  };
  auto report = machine.launch(*kernel, launch->options);
  if (!report)
    return fail(report.error());
  auto isEqual = finishBuffers(machine, *launch, out);
  if (!isEqual)
    return fail(isEqual.error());
  const Module &module = *machine.module(*id);
  std::vector<KernelPrediction> predictions;
  if (report->completed)
    predictions = predictAll(*gpus, module, *kernel, launch->options, *report,
                             *registers);
  printReport(options, module, *kernel, *report, predictions);
  return report->clean() && *isEqual ? 0 : 2;
}

} // namespace

int main(int argc, char **argv) {
  CLI::App app(description, "clade-ptx");
  Options options;
  app.add_option("ptx", options.ptx, "A PTX module, as text")->required();
  app.add_option("--launch", options.launch, "The launch file");
  app.add_flag("--list", options.lists, "List the kernels of the module");
  app.add_flag("--json", options.printsJson,
               "Print findings and counters as JSON");
  app.add_flag("--annotate", options.annotates,
               "Print the kernel with counts beside its lines");
  app.add_flag("--deterministic", options.isDeterministic,
               "Run the blocks one after another, in order");
  app.add_option("--workers", options.workers,
                 "Threads that run blocks (all cores)");
  app.add_option("--without", options.without,
                 "Leave out: uninitialised, races, async (checks), counters")
      ->delimiter(',');
  app.add_option("--gpu", options.gpus,
                 "Predict occupancy, DRAM traffic and time: a100, h100, b200, "
                 "all")
      ->delimiter(',');
  app.add_option("--registers", options.registers,
                 "Registers of a thread, or a file with the output of ptxas -v "
                 "(runs ptxas)");
  CLI11_PARSE(app, argc, argv);
  return run(options);
}
