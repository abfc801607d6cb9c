// The machine: device, threads, memory.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>

namespace retort {

/// "cpu", "cuda" or "cuda:1"; ConfigError on other words, ResourceError where the device is absent.
/// A CUDA device is set to give the same bytes for the same seed, in full float32 (no TF32).
at::Device parse_device(const std::string& text);

/// Waits until a device has done what it was given. A CPU always has.
void synchronize(at::Device device);

/// Most bytes of tensors that a device's memory held at once; 0 for a CPU, and for a CUDA device
/// before PyTorch 2.9, which does not tell.
int64_t peak_device_bytes(at::Device device);

/// Processors this process may use (affinity and control group counted).
int available_threads();

/// Uses `threads` threads in libtorch and its BLAS; 0 means all available. Returns the number.
/// Debian's libtorch would start with one.
int use_threads(int64_t threads);

/// Keeps freed memory in the process (glibc): libtorch frees and asks for the same large tensors in
/// every step, and fresh pages from the kernel cost time. For programs, not libraries.
void keep_freed_memory();

/// Largest resident memory of this process so far, in bytes.
int64_t peak_memory_bytes();

/// Resident memory of this process now, in bytes.
int64_t memory_bytes();

/// True where BLAS is OpenBLAS or MKL; the reference BLAS is 25 to 50 times slower.
bool fast_blas();

/// RAII: this thread's libtorch work and BLAS run on `threads` threads until destruction.
class ThreadScope {
 public:
  explicit ThreadScope(int threads);
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;
  ~ThreadScope();

 private:
  int before_;
};

/// RAII inside a loop that libtorch runs in parallel: OpenMP is told that this thread works alone.
/// oneDNN's weight gradients wait for as many threads as OpenMP promises: here, without this, for
/// ever.
class SingleThreadScope {
 public:
  SingleThreadScope();
  SingleThreadScope(const SingleThreadScope&) = delete;
  SingleThreadScope& operator=(const SingleThreadScope&) = delete;
  ~SingleThreadScope();

 private:
  int before_ = 0;
};

}  // namespace retort
