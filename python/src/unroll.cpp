// A training unrolled, forward and back; retort.unroll makes a function of torch of it.
#include <pybind11/stl.h>

#include <variant>

#include "bindings.h"
#include "python_objects.h"
#include "retort/train/unroll.h"

namespace retort::python {
namespace {

using Rate = std::variant<double, std::vector<double>>;

train::UnrollSet set_of(const at::Tensor& images, const at::Tensor& targets, const Rate& rate) {
  train::UnrollSet set{images.detach(), targets.detach()};
  if (const double* one = std::get_if<double>(&rate))
    set.learning_rate = *one;
  else
    set.step_rates = std::get<std::vector<double>>(rate);
  return set;
}

/// One training with all that it refers to.
class Unrolled {
 public:
  Unrolled(std::shared_ptr<nets::Network> network, const at::Tensor& images,
           const at::Tensor& targets, const Rate& rate, std::vector<train::UnrollStep> steps,
           const train::UnrollOptions& options, const std::optional<at::Tensor>& state)
      : network_(std::move(network)),
        set_(set_of(images, targets, rate)),
        unroll_(*network_, set_, std::move(steps), options, state.value_or(at::Tensor())) {}

  at::Tensor forward(const at::Tensor& theta) {
    const LongCall call;
    return unroll_.forward(theta.detach());
  }
  py::tuple backward(const at::Tensor& cotangent) {
    train::UnrollGradient found;
    {
      const LongCall call;
      found = unroll_.backward(cotangent.detach());
    }
    const py::object rate =
        set_.step_rates.empty() ? py::cast(found.learning_rate) : py::cast(found.step_rates);
    return py::make_tuple(found.theta, found.images, if_defined(found.targets), rate);
  }
  at::Tensor losses() const { return at::stack(unroll_.losses()); }

 private:
  const std::shared_ptr<nets::Network> network_;
  const train::UnrollSet set_;
  train::Unroll unroll_;
};

}  // namespace

void bind_unroll(py::module_& module) {
  using train::UnrollOptions;
  using train::UnrollStep;
  py::class_<UnrollStep>(module, "UnrollStep")
      .def(py::init(
               [](const std::optional<at::Tensor>& rows, const std::optional<at::Tensor>& augment) {
                 return UnrollStep{rows.value_or(at::Tensor()), augment.value_or(at::Tensor())};
               }),
           py::arg("rows"), py::arg("augment"));
  py::class_<UnrollOptions>(module, "UnrollOptions")
      .def(py::init([](double momentum, double weight_decay, bool hessian, bool checkpoints,
                       int64_t window, int64_t pass_bytes) {
             UnrollOptions options{momentum, weight_decay, hessian, checkpoints, window};
             options.pass_bytes = pass_bytes;
             return options;
           }),
           py::arg("momentum"), py::arg("weight_decay"), py::arg("hessian"), py::arg("checkpoints"),
           py::arg("window"), py::arg("pass_bytes"));
  py::class_<Unrolled>(module, "Unrolled")
      .def(py::init<std::shared_ptr<nets::Network>, const at::Tensor&, const at::Tensor&,
                    const Rate&, std::vector<UnrollStep>, const UnrollOptions&,
                    const std::optional<at::Tensor>&>(),
           py::arg("network"), py::arg("images"), py::arg("targets"), py::arg("rate"),
           py::arg("steps"), py::arg("options"), py::arg("state"))
      .def("forward", &Unrolled::forward, py::arg("theta"))
      .def("backward", &Unrolled::backward, py::arg("cotangent"))
      .def_property_readonly("losses", &Unrolled::losses);
}

}  // namespace retort::python
