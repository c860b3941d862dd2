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
  std::string text = "{\n \"version\": " + std::to_string(certificateVersion) +
                     ",\n \"plan\": ";
  appendJsonString(text, plan);
  size_t size = text.size() + 64;
  for (const CertifiedTensor &tensor : tensors) {
    size += tensor.name.size() + tensor.loss.size() + 128;
    for (const std::string &weight : tensor.weights)
      size += weight.size() + 4;
  }
  text.reserve(size);
  text += ",\n \"tensors\": [";
  const char *separator = "\n  ";
  for (const CertifiedTensor &tensor : tensors) {
    text += separator;
    separator = ",\n  ";
    text += "{\"name\": ";
    appendJsonString(text, tensor.name);
    text += ", \"dtype\": ";
    appendJsonString(text, dtypeName(tensor.dtype));
    text += ", \"shape\": " + shapeText(tensor.shape) + ", \"weights\": [";
    for (const std::string &weight : tensor.weights) {
      text += &weight == &tensor.weights.front() ? "" : ", ";
      appendJsonString(text, weight);
    }
    text += "]";
    if (!tensor.loss.empty()) {
      text += ", \"loss\": ";
      appendJsonString(text, tensor.loss);
    }
    text += "}";
  }
  text += "\n ]\n}\n";
  return text;
}

StatusOr<Certificate> Certificate::fromJson(std::string_view text) {
  Certificate certificate;
  Status problem;
  auto readMember = [&](std::string &&, json &&entry) {
    if (!problem.ok())
      return;
    StatusOr<CertifiedTensor> tensor = readTensor(entry);
    if (!tensor.ok())
      problem = tensor.takeStatus();
    else if (!certificate.tensors.empty() &&
             certificate.tensors.back().name >= tensor->name)
      problem = Status::corruption("tensor " + quoteName(tensor->name) +
                                   " is not in the order of names");
    else
      certificate.tensors.push_back(std::move(*tensor));
  };
  CLADE_ASSIGN_OR_RETURN(json root,
                         parseJsonMembers(text, "tensors", readMember));
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
  CLADE_ASSIGN_OR_RETURN(certificate.plan, readString(root, "plan"));
  auto list = root.find("tensors");
  if (list == root.end() || !list->is_array())
    return Status::corruption("'tensors' is not a list");
  CLADE_RETURN_IF_ERROR(std::move(problem));
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
