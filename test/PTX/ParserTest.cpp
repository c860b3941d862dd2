//===- ParserTest.cpp - From PTX text to a module -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Evaluate.h"

using namespace clade::ptx;
using namespace clade::ptx::test;

namespace {

Module parsed(const std::string &text) {
  auto module = parse(text, "test.ptx");
  EXPECT_TRUE(module) << module.error().str();
  return module ? std::move(*module) : Module();
}

std::string parseError(const std::string &text) {
  auto module = parse(text, "test.ptx");
  return module ? "" : module.error().str();
}

std::string inBody(const std::string &body) {
  return header() + ".entry k()\n{\n" + body + "\n}\n";
}

TEST(PtxParser, ReadsTheHead) {
  Module module = parsed(".version 9.0\n.target sm_100a, debug\n"
                         ".address_size 64\n");
  EXPECT_EQ(module.versionMajor, 9u);
  EXPECT_EQ(module.versionMinor, 0u);
  EXPECT_EQ(module.target, "sm_100a");
}

TEST(PtxParser, PacksTheParametersOfAKernel) {
  Module module =
      parsed(header() + ".visible .entry k(.param .u8 a, .param .u64 .ptr "
                        ".global .align 16 b, .param .align 64 .b8 c[128], "
                        ".param .f32 d) .maxntid 128, 2, 1 .minnctapersm 2 "
                        "{ ret; }");
  const Function &kernel = module.functions[0];
  ASSERT_EQ(kernel.parameters.size(), 4u);
  EXPECT_EQ(kernel.parameters[0].offset, 0u);
  EXPECT_EQ(kernel.parameters[1].offset, 8u);
  EXPECT_TRUE(kernel.parameters[1].isPointer);
  EXPECT_EQ(kernel.parameters[1].pointsTo, Space::Global);
  EXPECT_EQ(kernel.parameters[2].offset, 64u);
  EXPECT_EQ(kernel.parameters[3].offset, 192u);
  EXPECT_EQ(kernel.parameterBytes, 196u);
  EXPECT_EQ(kernel.maxThreads, (std::array<uint32_t, 3>{128, 2, 1}));
  EXPECT_EQ(kernel.minBlocks, 2u);
}

TEST(PtxParser, FillsVariables) {
  Module module = parsed(
      header() + ".global .align 4 .b8 text[4] = {104, 105, 0x0};\n"
                 ".const .f32 table[2][2] = {{0f3F800000, 2.5}, {-1.0, 3}};\n"
                 ".global .u64 pointers[2] = {text+1, generic(text)};\n"
                 ".global .u32 sum = (1 << 4) | 3;\n"
                 ".extern .shared .align 16 .b8 dynamic[];\n");
  ASSERT_EQ(module.variables.size(), 5u);
  EXPECT_EQ(module.variables[0].initialiser,
            (std::vector<uint8_t>{104, 105, 0}));
  float table[4];
  ASSERT_EQ(module.variables[1].initialiser.size(), sizeof table);
  std::memcpy(table, module.variables[1].initialiser.data(), sizeof table);
  EXPECT_EQ(table[1], 2.5f);
  EXPECT_EQ(table[2], -1.0f);
  EXPECT_EQ(table[3], 3.0f);
  ASSERT_EQ(module.variables[2].relocations.size(), 2u);
  EXPECT_EQ(module.variables[2].relocations[0].addend, 1);
  EXPECT_TRUE(module.variables[2].relocations[1].isGeneric);
  EXPECT_EQ(module.variables[3].initialiser[0], 19);
  EXPECT_TRUE(module.variables[4].isUnbounded);
}

TEST(PtxParser, ScopesLabelsAndRegisters) {
  Module module = parsed(inBody("{ .reg .b32 x; L: mov.u32 x, 1; bra L; }\n"
                                "{ .reg .f32 x; L: mov.f32 x, 0f00000000; "
                                "bra L; }\nbra END;\nEND: ret;"));
  const Function &kernel = module.functions[0];
  ASSERT_EQ(kernel.registers.size(), 2u);
  EXPECT_EQ(kernel.instructions[1].operands[0].id, 0);
  EXPECT_EQ(kernel.instructions[3].operands[0].id, 2);
  EXPECT_EQ(kernel.instructions[4].operands[0].id, 5);
  EXPECT_EQ(kernel.instructions[2].operands[0].id, 1);
}

TEST(PtxParser, FindsNumberedRegistersByTheLongestPrefix) {
  Module module = parsed(inBody(".reg .b32 %r<4>, %r1_<3>; .reg .b64 %rd1;\n"
                                "mov.u32 %r3, %r1_2; mov.u64 %rd1, %rd1;"));
  const auto &instructions = module.functions[0].instructions;
  EXPECT_EQ(instructions[0].operands[0].id, 3);
  EXPECT_EQ(instructions[0].operands[1].id, 6);
  EXPECT_EQ(instructions[1].operands[0].id, 7);
}

TEST(PtxParser, ReadsOperands) {
  Module module =
      parsed(header() + ".global .b32 v[8];\n.entry k(.param .u64 a)\n{\n"
                        ".reg .b32 %r<9>; .reg .b64 %rd<3>; .reg .pred %p<3>;\n"
                        "@!%p1 ld.global.v2.u32 {%r1, _}, [%rd1+-8];\n"
                        "ld.param.u64 %rd2, [a+0];\n"
                        "st.global.u32 [v+4], -5;\n"
                        "setp.lt.and.s32 %p1|%p2, %r1, 0x10U, !%p0;\n"
                        "mov.u32 %r2, %tid.x;\n"
                        "cp.x.tensor [%r1], [%rd1, {%r2, %r3}], [%r4];\n}");
  const auto &code = module.functions[0].instructions;
  EXPECT_TRUE(code[0].guardNegated);
  EXPECT_EQ(code[0].fullName(), "ld.global.v2.u32");
  EXPECT_EQ(code[0].operands[0].elements[1].kind, Operand::Kind::Sink);
  EXPECT_EQ(code[0].operands[1].offset, -8);
  EXPECT_EQ(code[1].operands[1].scope, Operand::Scope::Parameter);
  EXPECT_EQ(code[2].operands[0].offset, 4);
  EXPECT_EQ(int64_t(code[2].operands[1].bits), -5);
  EXPECT_EQ(code[3].operands[0].elements.size(), 1u);
  EXPECT_EQ(code[3].operands[2].bits, 16u);
  EXPECT_TRUE(code[3].operands[3].isNegated);
  EXPECT_EQ(code[4].operands[1].special, SpecialRegister::TidX);
  EXPECT_EQ(code[5].operands[1].elements[0].elements.size(), 2u);
}

TEST(PtxParser, ReadsCalls) {
  Module module = parsed(
      header() + ".func (.param .b32 r) f (.param .b32 a) { ret; }\n"
                 ".entry k()\n{\n.reg .b64 %rd1;\n.param .b32 x, y;\n"
                 "call.uni (y), f, (x);\n"
                 "proto : .callprototype (.param .b32 _) _ (.param .b32 _);\n"
                 "call (y), %rd1, (x), proto;\ncall f;\n}");
  const auto &code = module.functions[1].instructions;
  EXPECT_EQ(code[0].operands[1].name, "f");
  EXPECT_EQ(code[0].operands[2].elements.size(), 1u);
  EXPECT_EQ(code[1].operands[3].scope, Operand::Scope::Prototype);
  EXPECT_EQ(code[2].operands[0].elements.size(), 0u);
}

TEST(PtxParser, KeepsWhereCodeComesFrom) {
  Module module = parsed(inBody(".loc 1 21 9\nret;\n.loc 1 30 2, "
                                "function_name $L__info+4, inlined_at 1 7 3\n"
                                "ret;") +
                         ".file 1 \"a.cu\"\n.section .debug_info { .b8 1 }\n");
  EXPECT_EQ(module.files[1], "a.cu");
  EXPECT_EQ(module.functions[0].instructions[0].location.line, 21u);
  EXPECT_EQ(module.functions[0].instructions[1].location.line, 30u);
}

TEST(PtxParser, SaysWhatIsWrong) {
  EXPECT_EQ(parseError(""), "test.ptx:1:1: error: expected '.version' at the "
                            "beginning of a module, found the end of the text");
  EXPECT_EQ(parseError(".version 5.0"),
            "test.ptx:1:10: error: PTX ISA 5.0 is not known: the machine reads "
            "6.0 to 9.x");
  EXPECT_EQ(parseError(".version 8.0\n.target cuda"),
            "test.ptx:2:13: error: expected a target such as sm_90a, found "
            "'cuda'");
  EXPECT_EQ(parseError(".version 8.0\n.target sm_80\n.address_size 32"),
            "test.ptx:3:15: error: expected .address_size 64, found 32: the "
            "machine has 64-bit addresses only");
  EXPECT_EQ(parseError(inBody("mov.u32 %r1, 5;")),
            "test.ptx:6:9: error: unknown register '%r1'");
  EXPECT_EQ(parseError(inBody("bra MISSING;")),
            "test.ptx:6:5: error: unknown name 'MISSING'");
  EXPECT_EQ(parseError(inBody("L: ret;\nL: ret;")),
            "test.ptx:7:1: error: label 'L' is defined twice in a scope");
  EXPECT_EQ(parseError(inBody("@%q bra L;")),
            "test.ptx:6:2: error: expected a predicate register after '@', "
            "found '%q'");
  EXPECT_EQ(parseError(inBody("mov.u32 _, ;")),
            "test.ptx:6:12: error: expected an operand, found ';'");
  EXPECT_EQ(parseError(inBody("ret")),
            "test.ptx:7:1: error: expected an operand, found '}'");
  EXPECT_EQ(parseError(header() + ".entry k() { ret;"),
            "test.ptx:4:18: error: expected '}' at the end of 'k', found the "
            "end of the text");
  EXPECT_EQ(parseError(header() + ".entry k() { ret; }\n.entry k() { ret; }"),
            "test.ptx:5:8: error: 'k' is defined twice; the first is in line "
            "4");
  EXPECT_EQ(parseError(header() + ".global .u32 x = 1/0;"),
            "test.ptx:4:19: error: division by zero in an expression");
  EXPECT_EQ(parseError(header() + ".global .u8 x[1] = {1, 2};"),
            "test.ptx:4:24: error: 'x' has more initial values than its 1 "
            "bytes hold");
  EXPECT_EQ(parseError(header() + ".global .align 3 .u8 x;"),
            "test.ptx:4:16: error: expected an alignment that is a power of "
            "two up to 1048576, found 3");
  EXPECT_EQ(parseError(header() + ".shared .u32 x = 1;"),
            "test.ptx:4:14: error: 'x' cannot have an initialiser: it is in "
            "shared memory");
  EXPECT_EQ(parseError(header() + "\x01"),
            "test.ptx:4:1: error: expected a directive of a module (.entry, "
            ".func, .global, .const, .shared, .file, .section, .alias, "
            ".pragma), found the byte 0x01");
  EXPECT_EQ(parseError(inBody(".reg .b32 %r<2000000>;")),
            "test.ptx:6:11: error: function 'k' has more than 1048576 "
            "registers");
}

TEST(PtxParser, BoundsNesting) {
  EXPECT_NE(parseError(header() + ".global .u32 x = " + std::string(5000, '(')),
            "");
  EXPECT_NE(
      parseError(header() + ".global .u32 x[] = " + std::string(5000, '{')),
      "");
  EXPECT_NE(parseError(inBody(std::string(5000, '{'))), "");
  EXPECT_NE(parseError(inBody("mov.b32 " + std::string(5000, '{'))), "");
}

TEST(PtxDecoder, SaysWhatIsWrong) {
  auto error = [](const std::string &body) {
    return errorOf(kernelText(1, body));
  };
  EXPECT_NE(error("frobnicate.u32 %r1, %r2;")
                .find("unknown instruction 'frobnicate.u32'; known are abs, "),
            std::string::npos);
  EXPECT_NE(error("add.s32 %r1, %r2;")
                .find("'add.s32': expected 3 operands, found 2"),
            std::string::npos);
  EXPECT_NE(error("add.s32 %r1, %r2, %rd1;")
                .find("expected a register of 32 bits for .s32, found '%rd1' "
                      "(.b64)"),
            std::string::npos);
  EXPECT_NE(error("setp.lt.s32 %r1, %r2, 1;")
                .find("expected a predicate, found '%r1' (.b32)"),
            std::string::npos);
  EXPECT_NE(error("ld.shared.u32 %r1, [p0];")
                .find("'p0' is in param memory, not in shared memory"),
            std::string::npos);
  EXPECT_NE(error("ld.param.u64 %rd1, [p0+4];")
                .find("the access ends 12 bytes into the parameters, of which "
                      "there are 8"),
            std::string::npos);
  EXPECT_NE(error("ld.global.v2.u32 %r1, [%rd1];")
                .find("expected a vector of 2, found 1 elements"),
            std::string::npos);
  EXPECT_NE(error("add.s32.fancy %r1, %r2, %r3;")
                .find("is not a form of 'add' that the machine knows"),
            std::string::npos);
  EXPECT_NE(error("mul.s32 %r1, %r2, %r3;").find("expected .lo, .hi or .wide"),
            std::string::npos);
  EXPECT_NE(error("cvt.s32.f32 %r1, %f1;").find("expected .rni, .rzi"),
            std::string::npos);
  EXPECT_NE(error("st.const.u32 [%rd1], %r1;")
                .find("constant memory cannot be written"),
            std::string::npos);
}

} // namespace
