//===- DecodeWebP.cpp - WebP by libwebp -----------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Image/Decoders.h"

#include <memory>
#include <webp/decode.h>
#include <webp/demux.h>

using namespace clade::rt;

StatusOr<Image> clade::rt::decodeWebP(ByteSpan bytes, int64_t maxPixels) {
  WebPData data{reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()};
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(data.bytes, data.size, &features) != VP8_STATUS_OK)
    return Status::corruption("WebP: the file is truncated or damaged");
  CLADE_ASSIGN_OR_RETURN(Image image,
                         makeImage(features.width, features.height,
                                   features.has_alpha ? 4 : 3, maxPixels));

  // The decoder of animations reads stills, too, and places the first frame.
  std::unique_ptr<WebPAnimDecoder, decltype(&WebPAnimDecoderDelete)> decoder(
      WebPAnimDecoderNew(&data, nullptr), WebPAnimDecoderDelete);
  WebPAnimInfo info;
  uint8_t *frame = nullptr;
  int timestamp = 0;
  if (!decoder || !WebPAnimDecoderGetInfo(decoder.get(), &info) ||
      info.canvas_width != static_cast<uint32_t>(image.width) ||
      info.canvas_height != static_cast<uint32_t>(image.height) ||
      !WebPAnimDecoderGetNext(decoder.get(), &frame, &timestamp))
    return Status::corruption("WebP: the file is truncated or damaged");

  size_t count = static_cast<size_t>(image.width * image.height);
  for (size_t i = 0; i < count; ++i)
    for (int c = 0; c < image.channels; ++c)
      image.pixels[i * image.channels + c] = frame[i * 4 + c];
  return image;
}
