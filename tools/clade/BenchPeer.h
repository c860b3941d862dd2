//===- BenchPeer.h - Another engine, to measure beside ----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_BENCHPEER_H
#define CLADE_TOOLS_CLADE_BENCHPEER_H

#include "runtime/Support/Status.h"

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

namespace clade::driver {

/// A process of tools/dev/bench-peer.py, which has loaded a model and waits for
/// prompts.
class BenchPeer {
public:
  struct Times {
    double prefill = 0, decode = 0; ///< Seconds.
  };

  /// `engine` is a name that the script knows. Unsupported, with what the
  /// script says, if it is not installed or cannot read the model.
  static rt::StatusOr<std::unique_ptr<BenchPeer>>
  start(const std::string &engine, const std::string &model,
        const std::string &dtype, int threads);
  ~BenchPeer();

  /// 'transformers', and its version.
  const std::string &name() const { return engine; }
  const std::string &version() const { return versionText; }

  /// A prompt, then `steps` tokens one by one.
  rt::StatusOr<Times> run(const std::vector<int32_t> &prompt, int64_t steps);

private:
  struct Close {
    void operator()(std::FILE *file) const { std::fclose(file); }
  };
  using File = std::unique_ptr<std::FILE, Close>;

  rt::StatusOr<std::string> readLine();

  std::string engine, versionText;
  File toPeer, fromPeer;
  pid_t process = -1;
};

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_BENCHPEER_H
