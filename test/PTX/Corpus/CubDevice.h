//===- CubDevice.h - A program that uses the CUB library for devices  -*- C++
//-*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each function runs an algorithm on `n` elements of device memory and returns
// a cudaError_t, 0 for success.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_PTX_CORPUS_CUBDEVICE_H
#define CLADE_TEST_PTX_CORPUS_CUBDEVICE_H

int deviceSum(const int *in, int *out, int n);
/// The least and its place, the first of equals.
int deviceArgMin(const float *in, float *least, long long *place, int n);
int deviceScan(const int *in, int *out, int n);
int deviceSort(const unsigned *in, unsigned *out, int n);
/// The largest keys first.
int deviceSortPairs(const float *keys, float *keysOut, const int *values,
                    int *valuesOut, int n);
/// The odd ones, in order.
int deviceSelect(const int *in, int *out, int *count, int n);
int deviceUnique(const int *in, int *out, int *count, int n);
/// `levels` - 1 bins of equal width from 0 to 256.
int deviceHistogram(const unsigned char *in, int *bins, int levels, int n);
int deviceRuns(const int *in, int *values, int *lengths, int *count, int n);

#endif // CLADE_TEST_PTX_CORPUS_CUBDEVICE_H
