/*===- ToyOther.c - Code that does not fit --------------------------------===*\
|*
|* Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* A shared object of another ABI version, or (without TOY_VERSION) of none.
|*
\*===----------------------------------------------------------------------===*/

#ifdef TOY_VERSION
__attribute__((visibility("default"))) const int clade_abi_version =
    TOY_VERSION;
#endif

__attribute__((visibility("default"))) void clade_step_forward(const void *step,
                                                               int thread) {
  (void)step;
  (void)thread;
}
