//===- CladeDialect.td - The compute dialect ---------------*- tablegen -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_DIALECT_CLADE_DIALECT_TD
#define CLADE_DIALECT_CLADE_DIALECT_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/DialectBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def Clade_Dialect : Dialect {
  let name = "clade";
  let summary = "What a model family computes, over tensors with named axes";
  let description = [{
    The ops that a spec's blocks become. Every tensor axis has a name; an op
    pairs axes by name and never by place. The sequence axis is called `token`,
    it is dynamic, first, and flat over all sequences of a step; only attention
    and the state ops look at which sequence a token belongs to.

    Each op computes in f32 (reductions and products accumulate wider than the
    result) and rounds once to the element type of its result. Weights appear
    only as `clade.param @name`, whose value is the `wmap.func` of that name.
  }];
  let cppNamespace = "::clade";
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let dependentDialects = ["::mlir::func::FuncDialect"];
}

//===----------------------------------------------------------------------===//
// Types and attributes
//===----------------------------------------------------------------------===//

class Clade_Type<string name, string typeMnemonic> : TypeDef<Clade_Dialect, name> {
  let mnemonic = typeMnemonic;
}

class Clade_Attr<string name, string attrMnemonic> : AttrDef<Clade_Dialect, name> {
  let mnemonic = attrMnemonic;
}

def Clade_PanelsAttr : Clade_Attr<"Panels", "panels"> {
  let summary = "Packed layout of a product's weight";
  let description = [{
    A matrix [N, K] stored as [ceil(N/rows)][ceil(K/inner)][rows][inner], zero
    padded: panels of `rows` output rows, each step of the reduction holding
    `inner` neighbouring columns of every row. `groups` such matrices, one for each
    expert, follow each other.

    **Constraints:**
    * (C1) rows, inner and groups are at least 1

    ```mlir
    func.func @packed(%w: !clade.tensor<[ffn = 64, d = 32], bf16, #clade.panels<rows = 32, inner = 2>>) {
      return
    }
    ```
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$inner, DefaultValuedParameter<"int64_t", "1">:$groups);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Number of elements of a weight of this type once packed: rows are the
    /// elements of all axes but the last, a `groups`-th of them in each matrix,
    /// columns the last axis.
    /// kDynamic if a size is unknown.
    int64_t getPackedSize(NamedTensorType type);
  }];
}

def Clade_BlocksAttr : Clade_Attr<"Blocks", "blocks"> {
  let summary = "Packed layout of a product's quantised weight";
  let description = [{
    A matrix whose rows are blocks of `format` (`!wmap.block`), in panels of `rows` output
    rows as `wmap.pack_blocks` makes them. The tensor's elements are the f32 that blocks
    stand for. `groups` such matrices, one for each expert, follow each other.

    **Constraints:**
    * (C1) rows is a multiple of 16, groups is at least 1
    * (C2) the format is one of `!wmap.block`

    ```mlir
    func.func @packed(%w: !clade.tensor<[ffn = 64, d = 32], f32, #clade.blocks<format = "q8_0", rows = 32>>) {
      return
    }
    ```
  }];
  let parameters = (ins StringRefParameter<"the format's name">:$format, "int64_t":$rows,
                        DefaultValuedParameter<"int64_t", "1">:$groups);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Bytes of a weight of this type once packed; otherwise as in `#clade.panels`.
    int64_t getPackedSize(NamedTensorType type);
  }];
}

def Clade_TensorType : Clade_Type<"NamedTensor", "tensor"> {
  let summary = "Tensor with named axes";
  let description = [{
    A row-major tensor. An axis is a name and a size; an axis without a size is
    dynamic (`token`, `selected`). Names of one tensor differ, except that a
    weight may name the same axis once among its outputs and once among its
    inputs. The optional layout says how a weight is stored once it is packed.

    **Constraints:**
    * (C1) a sequence axis (`token`, `selected`) is the first
    * (C2) elements are integers or floats
    * (C3) a layout is one of packed weights
    * (C4) the number of elements, without dynamic axes, fits in 63 bits

    ```mlir
    func.func @heads(%x: !clade.tensor<[token, q_heads = 4, head = 64], bf16>) {
      return
    }
    ```
  }];
  let parameters = (ins
    ArrayRefParameter<"::mlir::StringAttr", "axis names">:$names,
    ArrayRefParameter<"int64_t", "axis sizes; ShapedType::kDynamic if unknown">:$shape,
    "::mlir::Type":$elementType,
    "::mlir::Attribute":$layout);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let builders = [
    TypeBuilderWithInferredContext<(ins
      "::llvm::ArrayRef<::mlir::StringAttr>":$names, "::llvm::ArrayRef<int64_t>":$shape,
      "::mlir::Type":$elementType), [{
      return $_get(elementType.getContext(), names, shape, elementType, ::mlir::Attribute());
    }]>
  ];
  let extraClassDeclaration = [{
    unsigned getElementTypeBitWidth() const { return getElementType().getIntOrFloatBitWidth(); }
    int64_t getRank() const { return getShape().size(); }
    /// Place of the axis of this name, or -1.
    int64_t find(::llvm::StringRef name) const;
    bool isDynamic(int64_t axis) const {
      return ::mlir::ShapedType::isDynamic(getShape()[axis]);
    }
    /// Whether the first axis is a sequence axis (`token` or `selected`).
    bool hasSequence() const;
    /// Number of leading sequence axes: 0 or 1.
    int64_t getNumSequenceAxes() const { return hasSequence() ? 1 : 0; }
    /// Product of the sizes of all axes but the sequence; kDynamic if one is unknown.
    int64_t getNumFeatures() const;
    /// The same axes with another element type.
    NamedTensorType withElementType(::mlir::Type type) const;
    /// The same sequence axis, if any, and element type, with these feature axes.
    NamedTensorType withFeatures(::llvm::ArrayRef<::mlir::StringAttr> names,
                            ::llvm::ArrayRef<int64_t> shape) const;
  }];
}

def Clade_BatchType : Clade_Type<"Batch", "batch"> {
  let summary = "Which sequence each token belongs to, and where it stands there";
  let description = [{
    A step runs any mix of prefill and decode over several sequences on one flat
    `token` axis. The batch value carries sequence, position and state rows; only
    attention, state and selection ops take it.

    ```mlir
    func.func @entry(%tokens: !clade.tensor<[token], i32>, %batch: !clade.batch) {
      return
    }
    ```
  }];
}

/// Any tensor; only `param` makes packed ones and only products read them.
def Clade_Weight : Type<CPred<"::llvm::isa<::clade::NamedTensorType>($_self)">,
                        "tensor with named axes", "::clade::NamedTensorType">;
def Clade_Tensor : Type<And<[Clade_Weight.predicate,
                             CPred<"!::llvm::cast<::clade::NamedTensorType>($_self).getLayout()">]>,
                        "tensor with named axes that is not packed", "::clade::NamedTensorType">;

//===----------------------------------------------------------------------===//
// Enums
//===----------------------------------------------------------------------===//

class Clade_Enum<string name, string doc, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, doc, cases> {
  let cppNamespace = "::clade";
  let genSpecializedAttr = 0;
}
class Clade_EnumAttr<EnumAttrInfo info, string attrMnemonic>
    : EnumAttr<Clade_Dialect, info, attrMnemonic>;

def Clade_UnaryKind : Clade_Enum<"UnaryKind", "elementwise function of one value", [
  I32EnumAttrCase<"Neg", 0, "neg">,
  I32EnumAttrCase<"Exp", 1, "exp">,
  I32EnumAttrCase<"Log", 2, "log">,
  I32EnumAttrCase<"Sqrt", 3, "sqrt">,
  I32EnumAttrCase<"Rsqrt", 4, "rsqrt">,
  I32EnumAttrCase<"Tanh", 5, "tanh">,
  I32EnumAttrCase<"Sigmoid", 6, "sigmoid">,
  I32EnumAttrCase<"Softplus", 7, "softplus">,
  I32EnumAttrCase<"Relu", 8, "relu">,
  I32EnumAttrCase<"Floor", 9, "floor">,
  I32EnumAttrCase<"Silu", 10, "silu">,
  I32EnumAttrCase<"Gelu", 11, "gelu">,
  I32EnumAttrCase<"GeluTanh", 12, "gelu_tanh">,
  I32EnumAttrCase<"QuickGelu", 13, "quick_gelu">,
  I32EnumAttrCase<"Relu2", 14, "relu2">,
  I32EnumAttrCase<"Abs", 15, "abs">,
]>;
def Clade_UnaryKindAttr : Clade_EnumAttr<Clade_UnaryKind, "unary_kind">;

def Clade_BinaryKind : Clade_Enum<"BinaryKind", "elementwise function of two values", [
  I32EnumAttrCase<"Add", 0, "add">,
  I32EnumAttrCase<"Sub", 1, "sub">,
  I32EnumAttrCase<"Mul", 2, "mul">,
  I32EnumAttrCase<"Div", 3, "div">,
  I32EnumAttrCase<"Pow", 4, "pow">,
  I32EnumAttrCase<"Min", 5, "min">,
  I32EnumAttrCase<"Max", 6, "max">,
]>;
def Clade_BinaryKindAttr : Clade_EnumAttr<Clade_BinaryKind, "binary_kind">;

def Clade_ReduceKind : Clade_Enum<"ReduceKind", "reduction", [
  I32EnumAttrCase<"Sum", 0, "sum">,
  I32EnumAttrCase<"Mean", 1, "mean">,
  I32EnumAttrCase<"Max", 2, "max">,
]>;
def Clade_ReduceKindAttr : Clade_EnumAttr<Clade_ReduceKind, "reduce_kind">;

def Clade_RotaryPairs : Clade_Enum<"RotaryPairs", "which features rotate together", [
  I32EnumAttrCase<"Halves", 0, "halves">,
  I32EnumAttrCase<"Adjacent", 1, "adjacent">,
]>;
def Clade_RotaryPairsAttr : Clade_EnumAttr<Clade_RotaryPairs, "rotary_pairs">;

def Clade_InterpolationKind : Clade_Enum<"InterpolationKind", "which neighbours a place of a grid is made of", [
  I32EnumAttrCase<"Bilinear", 0, "bilinear">,
  I32EnumAttrCase<"Bicubic", 1, "bicubic">,
]>;
def Clade_InterpolationKindAttr : Clade_EnumAttr<Clade_InterpolationKind, "interpolation_kind">;

def Clade_KernelKind : Clade_Enum<"KernelKind", "how a kernel is scheduled", [
  I32EnumAttrCase<"Tokenwise", 0, "tokenwise">,
  I32EnumAttrCase<"Product", 1, "product">,
  I32EnumAttrCase<"Attention", 2, "attention">,
  I32EnumAttrCase<"Recurrent", 3, "recurrent">,
  I32EnumAttrCase<"Experts", 4, "experts">,
]>;
def Clade_KernelKindAttr : Clade_EnumAttr<Clade_KernelKind, "kernel_kind">;

#endif // CLADE_DIALECT_CLADE_DIALECT_TD
