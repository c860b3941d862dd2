//===- CladeDialect.cpp - Types and attributes of the dialect -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Clade/CladeDialect.h"

#include "dialect/WMap/WMapDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/Transforms/InliningUtils.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace clade;

#include "dialect/Clade/CladeDialect.cpp.inc"
#include "dialect/Clade/CladeEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialect/Clade/CladeAttrs.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "dialect/Clade/CladeTypes.cpp.inc"

void CladeDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialect/Clade/CladeTypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialect/Clade/CladeAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialect/Clade/CladeOps.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// NamedTensorType
//===----------------------------------------------------------------------===//

/// axis ::= name [ `=` integer ]
static ParseResult parseAxis(AsmParser &parser,
                             SmallVectorImpl<StringAttr> &names,
                             SmallVectorImpl<int64_t> &shape) {
  std::string name;
  if (parser.parseKeywordOrString(&name))
    return failure();
  int64_t size = ShapedType::kDynamic;
  if (succeeded(parser.parseOptionalEqual())) {
    SMLoc loc = parser.getCurrentLocation();
    if (parser.parseInteger(size))
      return failure();
    if (size < 0)
      return parser.emitError(loc)
             << "expected a size of at least 0, got " << size;
  }
  names.push_back(StringAttr::get(parser.getContext(), name));
  shape.push_back(size);
  return success();
}

Type NamedTensorType::parse(AsmParser &parser) {
  SmallVector<StringAttr> names;
  SmallVector<int64_t> shape;
  Type elementType;
  Attribute layout;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() ||
      parser.parseCommaSeparatedList(
          AsmParser::Delimiter::Square,
          [&] { return parseAxis(parser, names, shape); }) ||
      parser.parseComma() || parser.parseType(elementType))
    return {};
  if (succeeded(parser.parseOptionalComma()) && parser.parseAttribute(layout))
    return {};
  if (parser.parseGreater())
    return {};
  return parser.getChecked<NamedTensorType>(loc, parser.getContext(), names,
                                            shape, elementType, layout);
}

void NamedTensorType::print(AsmPrinter &printer) const {
  printer << "<[";
  llvm::interleaveComma(llvm::zip_equal(getNames(), getShape()), printer,
                        [&](auto axis) {
                          auto [name, size] = axis;
                          printer.printKeywordOrString(name.getValue());
                          if (!ShapedType::isDynamic(size))
                            printer << " = " << size;
                        });
  printer << "], " << getElementType();
  if (getLayout())
    printer << ", " << getLayout();
  printer << ">";
}

LogicalResult
NamedTensorType::verify(function_ref<InFlightDiagnostic()> emitError,
                        ArrayRef<StringAttr> names, ArrayRef<int64_t> shape,
                        Type elementType, Attribute layout) {
  // tensor_c2
  if (!elementType.isIntOrFloat())
    return emitError() << "expected an integer or float element type, got "
                       << elementType;
  // tensor_c3
  if (layout && !isa<PanelsAttr, BlocksAttr>(layout))
    return emitError()
           << "expected a packed layout such as #clade.panels<…>, got "
           << layout;
  // tensor_c1
  for (auto [place, name] : llvm::enumerate(names))
    if (place > 0 && (name == tokenAxis || name == selectedAxis))
      return emitError() << "expected the sequence axis '" << name.getValue()
                         << "' to be first";
  // tensor_c4
  int64_t count = 1;
  for (int64_t size : shape)
    if (!ShapedType::isDynamic(size) &&
        llvm::MulOverflow(count, std::max<int64_t>(size, 1), count))
      return emitError()
             << "expected a number of elements that fits in 63 bits";
  return success();
}

LogicalResult PanelsAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 int64_t rows, int64_t inner, int64_t groups) {
  // panels_c1
  if (rows < 1 || inner < 1 || groups < 1)
    return emitError() << "expected rows, inner and groups of at least 1, got "
                       << rows << ", " << inner << " and " << groups;
  return success();
}

LogicalResult BlocksAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 StringRef format, int64_t rows,
                                 int64_t groups) {
  // blocks_c1
  if (rows < 1 || rows % 16 != 0 || groups < 1)
    return emitError() << "expected rows in multiples of 16 and groups of at "
                          "least 1, got "
                       << rows << " and " << groups;
  // blocks_c2
  if (!wmap::BlockType::isFormat(format))
    return emitError() << "expected a format of '!wmap.block', got '" << format
                       << "'";
  return success();
}

int64_t NamedTensorType::find(StringRef name) const {
  auto names = getNames();
  auto it = llvm::find_if(
      names, [&](StringAttr axis) { return axis.getValue() == name; });
  return it == names.end() ? -1 : it - names.begin();
}

bool NamedTensorType::hasSequence() const {
  return getRank() > 0 &&
         (getNames()[0] == tokenAxis || getNames()[0] == selectedAxis);
}

int64_t NamedTensorType::getNumFeatures() const {
  int64_t product = 1;
  for (int64_t size : getShape().drop_front(getNumSequenceAxes())) {
    if (ShapedType::isDynamic(size))
      return ShapedType::kDynamic;
    product *= size;
  }
  return product;
}

NamedTensorType NamedTensorType::withElementType(Type type) const {
  return NamedTensorType::get(getContext(), getNames(), getShape(), type,
                              getLayout());
}

NamedTensorType NamedTensorType::withFeatures(ArrayRef<StringAttr> names,
                                              ArrayRef<int64_t> shape) const {
  int64_t kept = getNumSequenceAxes();
  SmallVector<StringAttr> allNames(getNames().take_front(kept));
  SmallVector<int64_t> allShape(getShape().take_front(kept));
  llvm::append_range(allNames, names);
  llvm::append_range(allShape, shape);
  return NamedTensorType::get(getContext(), allNames, allShape,
                              getElementType(), Attribute());
}
