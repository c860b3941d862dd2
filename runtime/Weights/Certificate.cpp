//===- Certificate.cpp - What was proven of a weight mapping --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Small next to a checkpoint: a line a tensor.
//
//===----------------------------------------------------------------------===//

#include "runtime/Weights/Certificate.h"

#include "runtime/Support/Hash.h"
#include "runtime/Support/Text.h"
#include "runtime/Weights/WeightJson.h"

using namespace clade::rt;
using nlohmann::json;

namespace {

constexpr int64_t certificateVersion = 1;
constexpr int64_t maxCertifiedSize = int64_t(1) << 48;

StatusOr<CertifiedTensor> readTensor(const json &entry) {
  if (!entry.is_object())
    return Status::corruption("an entry of 'tensors' is not an object");
  CLADE_RETURN_IF_ERROR(
      rejectUnknownKeys(entry, {"name", "dtype", "shape", "weights", "loss"}));
  CertifiedTensor tensor;
  CLADE_ASSIGN_OR_RETURN(tensor.name, readString(entry, "name"));
  CLADE_ASSIGN_OR_RETURN(std::string dtype, readString(entry, "dtype"));
  std::optional<DType> type = parseDType(dtype);
  if (!type)
    return Status::corruption("tensor " + quoteName(tensor.name) +
                              " has the unknown type " + quoteName(dtype));
  tensor.dtype = *type;
  CLADE_ASSIGN_OR_RETURN(tensor.shape,
                         readIntegers(entry, "shape", maxCertifiedSize, 8));
  if (auto weights = entry.find("weights"); weights != entry.end())
    for (const json &weight : *weights)
      if (weight.is_string())
        tensor.weights.push_back(weight.get<std::string>());
  if (entry.contains("loss")) {
    CLADE_ASSIGN_OR_RETURN(tensor.loss, readString(entry, "loss"));
  }
  return tensor;
}

std::string headerText(DType dtype, std::span<const int64_t> shape) {
  return std::string(dtypeName(dtype)) + " " + shapeText(shape);
}

} // namespace

std::string Certificate::toJson() const {
  json list = json::array();
  for (const CertifiedTensor &tensor : tensors) {
    json entry = {{"name", tensor.name},
                  {"dtype", dtypeName(tensor.dtype)},
                  {"shape", tensor.shape},
                  {"weights", tensor.weights}};
    if (!tensor.loss.empty())
      entry["loss"] = tensor.loss;
    list.push_back(std::move(entry));
  }
  json root = {
      {"version", certificateVersion}, {"plan", plan}, {"tensors", list}};
  return root.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

StatusOr<Certificate> Certificate::fromJson(std::string_view text) {
  CLADE_ASSIGN_OR_RETURN(json root, parseJson(text));
  if (!root.is_object())
    return Status::corruption("expected an object");
  CLADE_ASSIGN_OR_RETURN(int64_t version,
                         readInteger(root, "version", INT32_MAX));
  if (version != certificateVersion)
    return Status::unsupported("has version " + std::to_string(version) +
                               ", expected " +
                               std::to_string(certificateVersion));
  CLADE_RETURN_IF_ERROR(
      rejectUnknownKeys(root, {"version", "plan", "tensors"}));
  Certificate certificate;
  CLADE_ASSIGN_OR_RETURN(certificate.plan, readString(root, "plan"));
  auto list = root.find("tensors");
  if (list == root.end() || !list->is_array())
    return Status::corruption("'tensors' is not a list");
  for (const json &entry : *list) {
    CLADE_ASSIGN_OR_RETURN(CertifiedTensor tensor, readTensor(entry));
    if (!certificate.tensors.empty() &&
        certificate.tensors.back().name >= tensor.name)
      return Status::corruption("tensor " + quoteName(tensor.name) +
                                " is not in the order of names");
    certificate.tensors.push_back(std::move(tensor));
  }
  return certificate;
}

Status Certificate::checkPlan(std::string_view tableText) const {
  if (plan == hashOf(tableText))
    return {};
  return Status::corruption("was given for another plan than 'weights.json'");
}

Status Certificate::checkTensors(std::span<const StoredTensor> found,
                                 const std::string &place) const {
  auto fail = [&](const std::string &name, const std::string &what) {
    return Status::invalidArgument("tensor " + quoteName(name) + " " + what);
  };
  size_t at = 0;
  for (const CertifiedTensor &tensor : tensors) {
    if (at < found.size() && found[at].name < tensor.name)
      return fail(found[at].name, "of " + quoteName(place) +
                                      " was not there when the weights were "
                                      "proven: compile the checkpoint again");
    if (at == found.size() || found[at].name != tensor.name)
      return fail(tensor.name, "is not in " + quoteName(place));
    if (found[at].dtype != tensor.dtype || found[at].shape != tensor.shape)
      return fail(tensor.name,
                  "in " + quoteName(place) + " is " +
                      headerText(found[at].dtype, found[at].shape) +
                      ", expected " + headerText(tensor.dtype, tensor.shape));
    ++at;
  }
  if (at < found.size())
    return fail(found[at].name, "of " + quoteName(place) +
                                    " was not there when the weights were "
                                    "proven: compile the checkpoint again");
  return {};
}
