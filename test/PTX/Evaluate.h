//===- Evaluate.h - Instructions and small kernels, executed ----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_PTX_EVALUATE_H
#define CLADE_TEST_PTX_EVALUATE_H

#include "lib/PTX/Machine.h"
#include "lib/PTX/Parser.h"

#include "gtest/gtest.h"

#include <cstring>
#include <string>
#include <vector>

namespace clade::ptx::test {

/// The bytes of values one after another, each at a multiple of its size, as a
/// kernel's parameters are packed.
template <typename... T> std::vector<uint8_t> packParameters(T... values) {
  std::vector<uint8_t> bytes;
  [[maybe_unused]] auto add = [&](auto value) {
    bytes.resize((bytes.size() + sizeof value - 1) / sizeof value *
                 sizeof value);
    const auto *begin = reinterpret_cast<const uint8_t *>(&value);
    bytes.insert(bytes.end(), begin, begin + sizeof value);
  };
  (add(values), ...);
  return bytes;
}

/// A machine with device memory that is filled from vectors.
class Device {
public:
  Machine machine;

  template <typename T> uint64_t upload(const std::vector<T> &values) {
    uint64_t address = reserve(values.size() * sizeof(T));
    EXPECT_TRUE(
        machine.copyIn(address, values.data(), values.size() * sizeof(T)));
    return address;
  }
  uint64_t reserve(uint64_t bytes) {
    auto address = machine.allocate(bytes);
    EXPECT_TRUE(address) << address.error().str();
    return address ? *address : 0;
  }
  template <typename T>
  std::vector<T> download(uint64_t address, size_t count) {
    std::vector<T> values(count);
    EXPECT_TRUE(machine.copyOut(values.data(), address, count * sizeof(T)));
    return values;
  }

  /// Loads a module and looks its kernel up; fails the test if it cannot.
  Kernel kernel(const std::string &text, const std::string &name = "k") {
    auto module = parse(text, "test.ptx");
    if (!module) {
      ADD_FAILURE() << module.error().str();
      return {};
    }
    auto id = machine.load(std::move(*module));
    EXPECT_TRUE(id) << id.error().str();
    auto found = machine.findKernel(*id, name);
    if (!found) {
      ADD_FAILURE() << found.error().str();
      return {};
    }
    return *found;
  }
  LaunchReport launch(const Kernel &kernel, LaunchOptions options) {
    if (!kernel.program)
      return {};
    auto report = machine.launch(kernel, options);
    if (!report) {
      ADD_FAILURE() << report.error().str();
      return {};
    }
    return std::move(*report);
  }
  template <typename... T>
  LaunchReport run(const std::string &text, uint32_t grid, uint32_t block,
                   T... parameters) {
    LaunchOptions options;
    options.grid = {grid, 1, 1};
    options.block = {block, 1, 1};
    options.parameters = packParameters(parameters...);
    return launch(kernel(text), options);
  }
};

inline std::string header(const std::string &version = "8.7") {
  return ".version " + version + "\n.target sm_90a\n.address_size 64\n";
}

/// A kernel "k" whose parameters p0, p1… are pointers, loaded into %pt0…, and
/// %i is the thread of the grid; `body` may use %r0-%r15, %rd0-%rd15, %f0-%f15,
/// %d0-%d7, %h0-%h7 and the predicates %p0-%p7.
inline std::string kernelText(unsigned numPointers, const std::string &body,
                              const std::string &before = "") {
  std::string text = header() + before + ".visible .entry k(";
  for (unsigned i = 0; i < numPointers; ++i)
    text += (i ? ", " : "") + std::string(".param .u64 p") + std::to_string(i);
  text += ")\n{\n.reg .pred %p<8>;\n.reg .b16 %h<8>;\n.reg .b32 %r<16>, %i;\n"
          ".reg .b64 %rd<16>, %pt<8>;\n.reg .f32 %f<16>;\n.reg .f64 %d<8>;\n";
  for (unsigned i = 0; i < numPointers; ++i)
    text += "ld.param.u64 %pt" + std::to_string(i) + ", [p" +
            std::to_string(i) + "];\n";
  text += "{ .reg .b32 %a<3>;\nmov.u32 %a0, %ctaid.x;\nmov.u32 %a1, %ntid.x;\n"
          "mov.u32 %a2, %tid.x;\nmad.lo.s32 %i, %a0, %a1, %a2;\n}\n";
  return text + body + "\nret;\n}\n";
}

/// Executes `code` once for each element: %a, %b, %c are the operands, %d is
/// the result, registers as wide as the elements.
template <typename Out, typename... In>
std::vector<Out> evaluate(const std::string &code,
                          const std::vector<In> &...inputs) {
  Device device;
  size_t count = 0;
  ((count = inputs.size()), ...);
  std::string names = "abc", body;
  unsigned index = 0;
  std::vector<uint64_t> addresses;
  auto bits = [](size_t bytes) { return ".b" + std::to_string(8 * bytes); };
  auto addInput = [&](const auto &values) {
    using T = typename std::decay_t<decltype(values)>::value_type;
    std::string name(1, names[index]), position = std::to_string(index);
    body += ".reg " + bits(sizeof(T)) + " %" + name + ";\n";
    body += "mul.wide.u32 %rd0, %i, " + std::to_string(sizeof(T)) +
            ";\nadd.s64 %rd0, %rd0, %pt" + position + ";\nld.global" +
            bits(sizeof(T)) + " %" + name + ", [%rd0];\n";
    addresses.push_back(device.upload(values));
    ++index;
  };
  (addInput(inputs), ...);
  body += ".reg " + bits(sizeof(Out)) + " %d;\n" + code + "\n";
  body += "mul.wide.u32 %rd0, %i, " + std::to_string(sizeof(Out)) +
          ";\nadd.s64 %rd0, %rd0, %pt" + std::to_string(index) +
          ";\nst.global" + bits(sizeof(Out)) + " [%rd0], %d;\n";
  uint64_t out = device.reserve(count * sizeof(Out));
  addresses.push_back(out);
  Kernel kernel = device.kernel(kernelText(index + 1, body));
  LaunchOptions options;
  options.block = {uint32_t(count), 1, 1};
  for (uint64_t address : addresses)
    for (unsigned i = 0; i < 8; ++i)
      options.parameters.push_back(uint8_t(address >> (8 * i)));
  LaunchReport report = device.launch(kernel, options);
  for (const Finding &finding : report.findings)
    ADD_FAILURE() << finding.str();
  return device.download<Out>(out, count);
}

/// Every pair (and triple) of the values, as vectors of equal length.
template <typename T>
std::pair<std::vector<T>, std::vector<T>> pairsOf(const std::vector<T> &list) {
  std::pair<std::vector<T>, std::vector<T>> pairs;
  for (T a : list)
    for (T b : list) {
      pairs.first.push_back(a);
      pairs.second.push_back(b);
    }
  return pairs;
}

/// Compares results with a host function of the operands, bit for bit.
template <typename Out, typename Function, typename... In>
void expectResults(const std::string &code, Function function,
                   const std::vector<In> &...inputs) {
  std::vector<Out> found = evaluate<Out>(code, inputs...);
  for (size_t i = 0; i < found.size(); ++i) {
    Out expected = function(inputs[i]...);
    EXPECT_EQ(0, std::memcmp(&found[i], &expected, sizeof(Out)))
        << code << " of element " << i << ": found " << +found[i]
        << ", expected " << +expected;
  }
}

/// The message with which parsing and looking the kernel up fail.
inline std::string errorOf(const std::string &text) {
  auto module = parse(text, "test.ptx");
  if (!module)
    return module.error().str();
  Machine machine;
  auto id = machine.load(std::move(*module));
  if (!id)
    return id.error().str();
  auto kernel = machine.findKernel(*id, "k");
  return kernel ? "" : kernel.error().str();
}

} // namespace clade::ptx::test

#endif // CLADE_TEST_PTX_EVALUATE_H
