//===- PictureInputs.h - Pictures as what a model takes ---------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_PICTUREINPUTS_H
#define CLADE_TOOLS_CLADE_PICTUREINPUTS_H

#include "tools/clade/Requests.h"

#include <functional>

namespace clade::driver {

/// What pictures become with.
struct PictureSource {
  /// The checkpoint's folder, or the artifact.
  std::string folder;
  /// Whether a file of the folder counts; all do if this is empty.
  std::function<bool(const std::string &)> hasFile;
  /// May be null if no request with pictures has a text.
  const rt::Tokenizer *tokenizer = nullptr;
};

/// Processes the pictures of all requests as the folder's configuration says,
/// puts the tokens that stand for them into the prompts, which are encoded, and
/// cuts the images. InvalidArgument for pictures of a model without an `entry`
/// for images; errors name the folder or the request's prompt.
rt::Status addPictures(Requests &requests,
                       const std::optional<rt::ManifestImages> &entry,
                       const PictureSource &source);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_PICTUREINPUTS_H
