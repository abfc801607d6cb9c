// The pieces of the module _core, one source each, and what they share.
#pragma once

#include <torch/csrc/utils/pybind.h>

#include <memory>
#include <optional>
#include <string>

#include "retort/core/stop.h"
#include "retort/methods/method.h"

// pybind11's types are hidden from other modules, so what holds them is.
#pragma GCC visibility push(hidden)
namespace retort::python {

namespace py = pybind11;

void bind_errors(py::module_& module);
void bind_data(py::module_& module);
void bind_sets(py::module_& module);
void bind_runs(py::module_& module);
void bind_network(py::module_& module);
void bind_unroll(py::module_& module);
void bind_draws(py::module_& module);
void bind_objective(py::module_& module);
void bind_learner(py::module_& module);

/// A message of the library in Python's words: "--images-per-class" is images_per_class.
std::string in_python(const std::string& message);

/// RAII around a piece of work in C++ that may take long. The GIL is released. What a caller may
/// have set for his own torch code (number of threads, gradient and inference mode, autocast,
/// default type, how CUDA computes) is as the library expects it, and is put back at the end.
class LongCall {
 public:
  LongCall();
  LongCall(const LongCall&) = delete;
  LongCall& operator=(const LongCall&) = delete;
  ~LongCall();

 private:
  struct Settings;
  std::unique_ptr<Settings> before_;
  std::optional<py::gil_scoped_release> released_;
};

/// RAII on the main thread: Ctrl-C sets `stop` as well as Python's own flag, so that work in C++
/// reaches a safe point. On other threads it does nothing.
class Interruptible {
 public:
  explicit Interruptible(StopFlag& stop);
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;
  ~Interruptible();
  /// Raises KeyboardInterrupt, or what another signal's handler raises. Needs the GIL.
  static void raise_pending();

 private:
  bool installed_ = false;
};

/// Calls Python functions from work that holds no GIL. The first exception that one raises is kept
/// and asks the work to stop; what is kept is raised by raise(). To be destroyed with the GIL held.
class Ears {
 public:
  explicit Ears(StopFlag& stop) : stop_(stop) {}
  template <class Function>
  void call(Function&& function) {
    if (failure_) return;
    const py::gil_scoped_acquire held;
    try {
      function();
    } catch (py::error_already_set& error) {
      failure_.emplace(std::move(error));
      stop_.request();
    }
  }
  void raise() {
    if (!failure_) return;
    py::error_already_set error = std::move(*failure_);
    failure_.reset();
    throw error;
  }

 private:
  StopFlag& stop_;
  std::optional<py::error_already_set> failure_;
};

/// What Python hands to a run as its method: `retort.distill(method=object)`.
struct MethodHandle {
  methods::MethodEntry entry;
};

}  // namespace retort::python
#pragma GCC visibility pop
