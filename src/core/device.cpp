#include "retort/core/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <malloc.h>
#include <sched.h>
#include <sys/resource.h>
#include <torch/cuda.h>
#include <torch/version.h>
#include <unistd.h>

#define RETORT_TORCH_SINCE(major, minor) \
  (TORCH_VERSION_MAJOR > (major) ||      \
   (TORCH_VERSION_MAJOR == (major) && TORCH_VERSION_MINOR >= (minor)))
#if RETORT_TORCH_SINCE(2, 9)
#include <c10/core/CachingDeviceAllocator.h>
#endif

#include <algorithm>
#include <charconv>
#include <climits>
#include <fstream>
#include <thread>

#include "retort/core/error.h"

namespace retort {
namespace {

template <class Function>
Function symbol(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

// OpenBLAS's own thread pool does not follow at::set_num_threads.
void set_blas_threads(int threads) {
  if (auto* set = symbol<void (*)(int)>("openblas_set_num_threads")) set(threads);
}

/// Processors that the control group allows, or a large number.
int cgroup_threads() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return 1 << 20;
  double value = 0;
  const auto parsed = std::from_chars(quota.data(), quota.data() + quota.size(), value);
  if (parsed.ec != std::errc{}) return 1 << 20;
  return std::max(1, static_cast<int>(value / period + 0.999));
}

// Where two ways differ in their last bits from run to run, the one that does not is taken; where
// there is one alone, libtorch warns. Products and convolutions keep all of float32.
void ask_for_equal_bytes() {
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8",
         /*overwrite=*/0);  // else cuBLAS gives no such promise
  at::Context& context = at::globalContext();
  context.setBenchmarkCuDNN(false);
  context.setDeterministicCuDNN(true);
  context.setDeterministicAlgorithms(true, /*warn_only=*/true);
#if RETORT_TORCH_SINCE(2, 2)
  context.setDeterministicFillUninitializedMemory(false);  // nobody reads it
#endif
  context.setAllowTF32CuBLAS(false);
  context.setAllowTF32CuDNN(false);
}

}  // namespace

at::Device parse_device(const std::string& text) {
  const ConfigError wrong(ErrorMessage{"choosing the device",
                                       "there is no device '" + text + "'",
                                       "cpu, cuda, or cuda:N with N counted from 0",
                                       {}});
  if (text == "cpu") return at::Device(at::kCPU);
  if (!text.starts_with("cuda")) throw wrong;
  int index = 0;
  if (text.size() > 4) {
    const auto [end, problem] = std::from_chars(text.data() + 5, text.data() + text.size(), index);
    if (text[4] != ':' || problem != std::errc{} || end != text.data() + text.size() || index < 0)
      throw wrong;
  }
  const int64_t count =
      torch::cuda::is_available() ? static_cast<int64_t>(torch::cuda::device_count()) : 0;
  if (index >= count)
    throw ResourceError(ErrorMessage{
        "choosing the device",
        fmt::format("'{}' was asked for, {} CUDA devices are there", text, count),
        {},
        count == 0 ? "use --device cpu, or build against a CUDA libtorch on a machine with one"
                   : "choose a lower number"});
  ask_for_equal_bytes();
  return at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(index));
}

void synchronize(at::Device device) {
  if (device.is_cuda()) torch::cuda::synchronize(device.index());
}

int64_t peak_device_bytes(at::Device device) {
#if RETORT_TORCH_SINCE(2, 9)
  if (device.is_cuda()) {
    const auto stats = c10::getDeviceAllocator(at::kCUDA)->getDeviceStats(device.index());
    return stats.allocated_bytes[0].peak;  // of all pools together
  }
#endif
  return 0;
}

int available_threads() {
  cpu_set_t set;
  int count = static_cast<int>(std::thread::hardware_concurrency());
  if (sched_getaffinity(0, sizeof set, &set) == 0) count = CPU_COUNT(&set);
  return std::max(1, std::min(count, cgroup_threads()));
}

int use_threads(int64_t threads) {
  const int count = threads > 0 ? static_cast<int>(threads) : available_threads();
  at::set_num_threads(count);
  set_blas_threads(count);
  return count;
}

void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_MAX, 0);  // large blocks from the heap too, not mapped anew each time
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

int64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

int64_t memory_bytes() {
  std::ifstream file("/proc/self/statm");
  int64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * static_cast<int64_t>(sysconf(_SC_PAGESIZE));
}

bool fast_blas() {
  return at::hasMKL() || symbol<void*>("openblas_get_config") != nullptr;
}

ThreadScope::ThreadScope(int threads) : before_(at::get_num_threads()) {
  at::set_num_threads(threads);
  set_blas_threads(threads);
}

ThreadScope::~ThreadScope() {
  at::set_num_threads(before_);
  set_blas_threads(before_);
}

// The setting is the calling thread's own. at::set_num_threads would renew a thread pool each time.
// libtorch sets it by itself when a thread first asks: that has to be behind us.
SingleThreadScope::SingleThreadScope() : before_(at::get_num_threads()) {
  if (auto* set = symbol<void (*)(int)>("omp_set_num_threads")) set(1);
}

SingleThreadScope::~SingleThreadScope() {
  if (auto* set = symbol<void (*)(int)>("omp_set_num_threads"); set && before_ > 0) set(before_);
}

}  // namespace retort
