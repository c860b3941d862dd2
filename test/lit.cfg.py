# Configuration of the lit tests: the text of the compiler's tools.
import os
import shutil

import lit.formats
from lit.llvm import llvm_config
from lit.llvm.subst import ToolSubst

config.name = "Clade"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".spec", ".test"]
config.excludes = ["Inputs", "Fuzz", "Parity"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.clade_build_dir, "test")

# A variable of FileCheck lives until the next label, and a prefix that no line
# has is a slip.
config.environment["FILECHECK_OPTS"] = "--enable-var-scope --allow-unused-prefixes=false"
llvm_config.with_system_environment(["HOME", "TMPDIR", "ASAN_OPTIONS", "UBSAN_OPTIONS"])

config.substitutions.append(("%clade_src", config.clade_source_dir))
config.substitutions.append(("%clade_build", config.clade_build_dir))
config.substitutions.append(("%specs", os.path.join(config.clade_source_dir, "specs")))
config.substitutions.append(("%python", config.python_executable))
config.substitutions.append(("%lit", os.path.join(config.llvm_tools_dir, "lit")))

if config.clade_sanitize:
    config.available_features.add("sanitizer")
    # LLVM's allocators tell a sanitizer what is in use, but those in LLVM's own libraries, which share memory with
    # ours, were built without.
    config.environment.setdefault("ASAN_OPTIONS", "allow_user_poisoning=0")

# The driver that runs CUDA code on the CPU, with little memory and the first GPU unless a test says otherwise.
virtual_cuda = os.path.join(config.clade_build_dir, "lib", "virtual-cuda", "libcuda.so.1")
if os.path.exists(virtual_cuda):
    config.available_features.add("virtual-cuda")
config.environment.update(
    {"CLADE_CUDA_DRIVER": virtual_cuda, "CLADE_CUDA_DEVICES": "sm_80", "CLADE_CUDA_MEMORY": "256"}
)

# NVIDIA's assembler says how many registers a kernel has. The toolkit is optional.
ptxas = shutil.which("ptxas") or "/usr/local/cuda/bin/ptxas"
if os.path.exists(ptxas):
    config.available_features.add("ptxas")
    config.substitutions.append(("%ptxas", ptxas))
# Machine code takes long to make, and no test but those of it needs any.
config.environment["CLADE_PTXAS"] = ""

# Code for AArch64 runs here if there is something to run it and a compiler for what calls it.
if shutil.which("qemu-aarch64") and shutil.which("aarch64-linux-gnu-gcc"):
    config.available_features.add("arm-run")

# What takes longest is left to tools/check: see `ninja check-clade`.
if lit_config.params.get("quick"):
    config.available_features.add("quick")

llvm_config.add_tool_substitutions(
    [ToolSubst(tool, unresolved="ignore") for tool in ("clade-lsp-server", "clade-opt", "clade-ptx", "clade-translate", "clade")],
    [os.path.join(config.clade_build_dir, "bin")],
)
llvm_config.add_tool_substitutions(
    ["FileCheck", "not", "split-file", "count", "mlir-opt", "llvm-nm", "llvm-objdump", "llvm-readelf"], [config.llvm_tools_dir]
)
