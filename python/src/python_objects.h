// Objects of Python that the library holds, and tensors that may be missing.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "bindings.h"

namespace retort::python {

inline std::optional<at::Tensor> if_defined(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional<at::Tensor>(tensor) : std::nullopt;
}

/// An object of Python that is kept, copied and dropped without the GIL.
class __attribute__((visibility("hidden"))) Kept {
 public:
  explicit Kept(py::object object)
      : object_(new py::object(std::move(object)), [](py::object* dropped) {
          const py::gil_scoped_acquire held;
          delete dropped;
        }) {}
  /// Needs the GIL.
  const py::object& operator*() const { return *object_; }
  const py::object* operator->() const { return object_.get(); }

 private:
  std::shared_ptr<py::object> object_;
};

}  // namespace retort::python
