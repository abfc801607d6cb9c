// The state of the process around long work: the GIL, settings of torch, Ctrl-C.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <c10/core/DefaultDtype.h>
#include <c10/core/InferenceMode.h>

#include <atomic>
#include <csignal>

#include "bindings.h"
#include "retort/core/device.h"

namespace retort::python {
namespace {

/// What a handler can reach.
std::atomic<StopFlag*> stopping = nullptr;
struct sigaction before_us {};

void on_interrupt(int signal) {
  if (StopFlag* flag = stopping) flag->request();
  before_us.sa_handler(signal);  // Python's own: only sets its flag
}

bool on_main_thread() {
  const py::module_ threading = py::module_::import("threading");
  return threading.attr("current_thread")().is(threading.attr("main_thread")());
}

/// How CUDA is to compute: parse_device changes it for the sake of equal bytes.
class CudaSettings {
 public:
  CudaSettings()
      : benchmark_(context().benchmarkCuDNN()),
        cudnn_(context().deterministicCuDNN()),
        deterministic_(context().deterministicAlgorithms()),
        warns_(context().deterministicAlgorithmsWarnOnly()),
        fills_(context().deterministicFillUninitializedMemory()),
        tf32_products_(context().allowTF32CuBLAS()),
        tf32_convolutions_(context().allowTF32CuDNN()) {}
  CudaSettings(const CudaSettings&) = delete;
  CudaSettings& operator=(const CudaSettings&) = delete;
  ~CudaSettings() {
    context().setBenchmarkCuDNN(benchmark_);
    context().setDeterministicCuDNN(cudnn_);
    context().setDeterministicAlgorithms(deterministic_, warns_);
    context().setDeterministicFillUninitializedMemory(fills_);
    if (tf32_products_ != context().allowTF32CuBLAS()) context().setAllowTF32CuBLAS(tf32_products_);
    if (tf32_convolutions_ != context().allowTF32CuDNN())
      context().setAllowTF32CuDNN(tf32_convolutions_);
  }

 private:
  static at::Context& context() { return at::globalContext(); }
  bool benchmark_, cudnn_, deterministic_, warns_, fills_, tf32_products_, tf32_convolutions_;
};

/// No autocast of either device until destruction.
class WithoutAutocast {
 public:
  WithoutAutocast()
      : cpu_(at::autocast::is_autocast_enabled(at::kCPU)),
        cuda_(at::autocast::is_autocast_enabled(at::kCUDA)) {
    set(false, false);
  }
  WithoutAutocast(const WithoutAutocast&) = delete;
  WithoutAutocast& operator=(const WithoutAutocast&) = delete;
  ~WithoutAutocast() { set(cpu_, cuda_); }

 private:
  static void set(bool cpu, bool cuda) {
    at::autocast::set_autocast_enabled(at::kCPU, cpu);
    at::autocast::set_autocast_enabled(at::kCUDA, cuda);
  }
  bool cpu_, cuda_;
};

}  // namespace

struct LongCall::Settings {
  c10::InferenceMode no_inference{false};
  at::AutoGradMode gradients{true};
  WithoutAutocast without_autocast;
  CudaSettings cuda;
  int threads = at::get_num_threads();
  caffe2::TypeMeta type = c10::get_default_dtype();
};

LongCall::LongCall() : before_(std::make_unique<Settings>()) {
  c10::set_default_dtype(caffe2::TypeMeta::Make<float>());
  released_.emplace();
}

LongCall::~LongCall() {
  released_.reset();
  c10::set_default_dtype(before_->type);
  use_threads(before_->threads);
}

Interruptible::Interruptible(StopFlag& stop) {
  if (stopping || !on_main_thread()) return;
  sigaction(SIGINT, nullptr, &before_us);
  if ((before_us.sa_flags & SA_SIGINFO) != 0 || before_us.sa_handler == SIG_DFL ||
      before_us.sa_handler == SIG_IGN)
    return;
  stopping = &stop;
  struct sigaction ours = before_us;
  ours.sa_handler = on_interrupt;
  installed_ = sigaction(SIGINT, &ours, nullptr) == 0;
}

Interruptible::~Interruptible() {
  if (!installed_) return;
  sigaction(SIGINT, &before_us, nullptr);
  stopping = nullptr;
}

void Interruptible::raise_pending() {
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

}  // namespace retort::python
