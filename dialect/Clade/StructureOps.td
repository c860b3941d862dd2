//===- StructureOps.td - Parameters, layers, kernels -------*- tablegen -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_DIALECT_STRUCTURE_OPS_TD
#define CLADE_DIALECT_STRUCTURE_OPS_TD

include "dialect/Clade/CladeOpBase.td"

def Clade_ParamOp : Clade_PureOp<"param", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "value of a weight";
  let description = [{
    The parameter of this name. Its value is what the `wmap.func` of the same
    name returns; inside a layer function it is the value for the layer that
    runs.

    **Constraints:**
    * (C1) the symbol names a `wmap.func`
    * (C2) that function returns as many elements as the result has, in the
      result's element type and, if it has a layout, packed to it

    ```mlir
    wmap.func @norm.weight -> tensor<32xbf16> {
      %0 = wmap.source "model.norm.weight" : tensor<32xbf16>
      wmap.return %0 : tensor<32xbf16>
    }
    func.func @gain() -> !clade.tensor<[d = 32], bf16> {
      %0 = clade.param @norm.weight : !clade.tensor<[d = 32], bf16>
      return %0 : !clade.tensor<[d = 32], bf16>
    }
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$name);
  let results = (outs Clade_Weight:$result);
  let assemblyFormat = "$name attr-dict `:` type($result)";
}

def Clade_StackRowsOp : Clade_PureOp<"stack_rows"> {
  let summary = "matrix whose rows lie in several weights";
  let description = [{
    The rows of the operands follow each other. A product with such a weight reads
    each part where it lies.

    **Constraints:**
    * (C1) operands and result are matrices of one element type without a layout
    * (C2) the operands have the columns of the result
    * (C3) the result has as many rows as the operands together

    ```mlir
    wmap.func @k -> tensor<16x32xbf16> {
      %0 = wmap.source "k_proj.weight" : tensor<16x32xbf16>
      wmap.return %0 : tensor<16x32xbf16>
    }
    wmap.func @v -> tensor<8x32xbf16> {
      %0 = wmap.source "v_proj.weight" : tensor<8x32xbf16>
      wmap.return %0 : tensor<8x32xbf16>
    }
    func.func @keys_and_values() -> !clade.tensor<[outputs = 24, inputs = 32], bf16> {
      %k = clade.param @k : !clade.tensor<[outputs = 16, inputs = 32], bf16>
      %v = clade.param @v : !clade.tensor<[outputs = 8, inputs = 32], bf16>
      %0 = clade.stack_rows %k, %v : (!clade.tensor<[outputs = 16, inputs = 32], bf16>, !clade.tensor<[outputs = 8, inputs = 32], bf16>)
          -> !clade.tensor<[outputs = 24, inputs = 32], bf16>
      return %0 : !clade.tensor<[outputs = 24, inputs = 32], bf16>
    }
    ```
  }];
  let arguments = (ins Variadic<Clade_Weight>:$parts);
  let results = (outs Clade_Weight:$result);
  let assemblyFormat = "$parts attr-dict `:` functional-type($parts, $result)";
  let hasVerifier = 1;
}

def Clade_ConstantOp : Clade_PureOp<"constant"> {
  let summary = "scalar constant";
  let description = [{
    A tensor without axes. It broadcasts against anything.

    **Constraints:**
    * (C1) the result has no axes

    ```mlir
    func.func @one() -> !clade.tensor<[], f32> {
      %0 = clade.constant 1.0 : !clade.tensor<[], f32>
      return %0 : !clade.tensor<[], f32>
    }
    ```
  }];
  let arguments = (ins F64Attr:$value);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = "$value attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Clade_ScheduleOp : Clade_Op<"schedule", [Symbol, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "which layer function runs for each layer";
  let description = [{
    One row a layer: the index of its function among `kinds`. Layers that differ
    only in their weights share a function, so the size of the module does not
    depend on the depth of the model.

    **Constraints:**
    * (C1) every kind is a function of the module
    * (C2) every row is the index of a kind
    * (C3) all kinds have one type

    ```mlir
    func.func @local(%x: !clade.tensor<[token, d = 8], f32>) -> !clade.tensor<[token, d = 8], f32> {
      return %x : !clade.tensor<[token, d = 8], f32>
    }
    func.func @global(%x: !clade.tensor<[token, d = 8], f32>) -> !clade.tensor<[token, d = 8], f32> {
      return %x : !clade.tensor<[token, d = 8], f32>
    }
    clade.schedule @layers kinds [@local, @global] rows [0, 0, 1]
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, FlatSymbolRefArrayAttr:$kinds,
                       DenseI32ArrayAttr:$rows);
  let assemblyFormat = "$sym_name `kinds` $kinds `rows` $rows attr-dict";
}

def Clade_LayersOp : Clade_Op<"layers", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "runs the layers of a schedule one after the other";
  let description = [{
    The first operands, as many as there are results, are carried: each layer
    gets what the layer before returned. The other operands are the same for
    every layer.

    **Constraints:**
    * (C1) the symbol names a `clade.schedule`
    * (C2) operand and result types are those of its kinds
    * (C3) carried operands and results have the same types

    ```mlir
    func.func @kind(%x: !clade.tensor<[token, d = 8], f32>) -> !clade.tensor<[token, d = 8], f32> {
      return %x : !clade.tensor<[token, d = 8], f32>
    }
    clade.schedule @stack kinds [@kind] rows [0, 0]
    func.func @model(%x: !clade.tensor<[token, d = 8], f32>) -> !clade.tensor<[token, d = 8], f32> {
      %0 = clade.layers @stack(%x) : (!clade.tensor<[token, d = 8], f32>) -> !clade.tensor<[token, d = 8], f32>
      return %0 : !clade.tensor<[token, d = 8], f32>
    }
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$schedule, Variadic<AnyType>:$inputs);
  let results = (outs Variadic<Clade_Tensor>:$results);
  let assemblyFormat = "$schedule `(` $inputs `)` attr-dict `:` functional-type($inputs, $results)";
}

def Clade_KernelOp : Clade_Op<"kernel", [IsolatedFromAbove, SingleBlock,
                                         RecursiveMemoryEffects]> {
  let summary = "group of ops that becomes one kernel";
  let description = [{
    What runs between two barriers. A `tokenwise` kernel computes each token by
    itself; a `product` holds exactly one `clade.linear`, the ops before it
    (its prologue) and elementwise ops after it (its epilogue); an `attention`
    holds one `clade.attend_cached`, an `experts` one `clade.expert_linear`
    or `clade.head_linear`; a `recurrent` holds one `clade.causal_conv` with elementwise ops after it, or one
    `clade.scan`. Values cross only as operands and results.

    **Constraints:**
    * (C1) block arguments and operands have the same types
    * (C2) the terminator's operands and the results have the same types
    * (C3) a product holds one `clade.linear`, other kinds none
    * (C4) an attention holds one `clade.attend_cached`, other kinds none
    * (C5) a recurrent holds one `clade.causal_conv` or `clade.scan`, other kinds none
    * (C6) an experts kernel holds one `clade.expert_linear` or `clade.head_linear`, other
      kinds none

    ```mlir
    func.func @activation(%x: !clade.tensor<[token, d = 8], f32>) -> !clade.tensor<[token, d = 8], f32> {
      %0 = clade.kernel tokenwise (%x) : (!clade.tensor<[token, d = 8], f32>) -> !clade.tensor<[token, d = 8], f32> {
      ^bb0(%a: !clade.tensor<[token, d = 8], f32>):
        %1 = clade.unary silu %a : !clade.tensor<[token, d = 8], f32> -> !clade.tensor<[token, d = 8], f32>
        clade.yield %1 : !clade.tensor<[token, d = 8], f32>
      }
      return %0 : !clade.tensor<[token, d = 8], f32>
    }
    ```
  }];
  let arguments = (ins Clade_KernelKindAttr:$kind, Variadic<AnyType>:$inputs);
  let results = (outs Variadic<Clade_Tensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    `` $kind `(` $inputs `)` attr-dict `:` functional-type($inputs, $results) $body
  }];
  let hasVerifier = 1;
}

def Clade_YieldOp : Clade_Op<"yield", [Pure, Terminator, ParentOneOf<["KernelOp", "ScanOp"]>]> {
  let summary = "results of a kernel or of a step of a scan";
  let description = [{
    Ends a `clade.kernel` and the region of a `clade.scan`.

    ```mlir
    func.func @identity(%x: !clade.tensor<[token, d = 8], f32>) -> !clade.tensor<[token, d = 8], f32> {
      %0 = clade.kernel tokenwise (%x) : (!clade.tensor<[token, d = 8], f32>) -> !clade.tensor<[token, d = 8], f32> {
      ^bb0(%a: !clade.tensor<[token, d = 8], f32>):
        clade.yield %a : !clade.tensor<[token, d = 8], f32>
      }
      return %0 : !clade.tensor<[token, d = 8], f32>
    }
    ```
  }];
  let arguments = (ins Variadic<Clade_Tensor>:$results);
  let assemblyFormat = "($results^ `:` type($results))? attr-dict";
}

#endif // CLADE_DIALECT_STRUCTURE_OPS_TD
