// A loss written in Python as a method of its own. What Python gives is a driver
// (retort/objective.py), which checks what the user's class answers.
#include <pybind11/stl.h>

#include "bindings.h"
#include "core/registry.h"
#include "python_objects.h"
#include "retort/core/error.h"
#include "sampler.h"

namespace retort::python {
namespace {

/// What an objective works with, as the driver takes it. The network and the images are Python's
/// own: they may outlive the run.
py::dict told(const methods::Context& context) {
  py::dict all;
  std::shared_ptr<nets::Network> network =
      nets::make_network(context.network.name(), context.network.shape());
  all["network"] = network;
  all["real"] = std::make_shared<Sampler>(context.data, context.device);
  all["seed"] = context.seed;
  all["device"] = context.device.str();
  all["augmentation"] = context.augmentation;
  all["iterations"] = context.iterations;
  all["class_names"] = context.data.class_names;
  all["counts"] = context.layout.counts;
  return all;
}

class PythonObjective : public methods::Objective {
 public:
  PythonObjective(Kept driver, const methods::Context& context) : driver_(std::move(driver)) {
    const py::gil_scoped_acquire held;
    driver_->attr("open")(told(context));
    identity_ = driver_->attr("identity")().cast<std::string>();
  }

  void begin(int64_t iteration, const methods::SyntheticSet&) override { iteration_ = iteration; }

  methods::Cotangents evaluate(const methods::SyntheticSet& set, int64_t) override {
    const py::gil_scoped_acquire held;
    const auto [loss, gradient] = driver_->attr("evaluate")(set.images, set.labels, iteration_)
                                      .cast<std::pair<double, at::Tensor>>();
    return {loss, gradient};
  }

  std::string identity() const override { return identity_; }

  TensorMap state() const override {
    const py::gil_scoped_acquire held;
    return driver_->attr("state")().cast<TensorMap>();
  }

  void restore(const TensorMap& state) override {
    const py::gil_scoped_acquire held;
    driver_->attr("restore")(state);
  }

 private:
  Kept driver_;
  std::string identity_;
  int64_t iteration_ = 0;
};

class PythonMethod : public methods::Method {
 public:
  PythonMethod(Kept driver, methods::LoopDefaults defaults)
      : driver_(std::move(driver)), defaults_(std::move(defaults)) {}
  methods::LoopDefaults defaults() const override { return defaults_; }
  std::unique_ptr<methods::Objective> objective(const methods::Context& context) override {
    return std::make_unique<PythonObjective>(driver_, context);
  }

 private:
  Kept driver_;
  const methods::LoopDefaults defaults_;
};

methods::LoopDefaults defaults_of(const py::dict& given) {
  methods::LoopDefaults defaults;
  const auto take = [&]<class Field>(const char* name, Field& field) {
    if (given.contains(name)) field = given[name].cast<Field>();
  };
  take("iterations", defaults.iterations);
  take("image_learning_rate", defaults.image_learning_rate);
  take("image_momentum", defaults.image_momentum);
  take("initialisation", defaults.initialisation);
  take("network", defaults.network);
  take("protocol", defaults.protocol);
  take("augmentation", defaults.augmentation);
  take("image_optimiser", defaults.image_optimiser);
  take("image_schedule", defaults.image_schedule);
  take("clip_norm", defaults.clip_norm);
  take("image_beta2", defaults.image_beta2);
  take("clamp_pixels", defaults.clamp_pixels);
  return defaults;
}

std::shared_ptr<MethodHandle> method(py::object driver, const std::string& name,
                                     const std::string& summary, const py::dict& defaults) {
  const std::vector<std::string> taken = names_of(std::span(methods::method_table()));
  if (std::find(taken.begin(), taken.end(), name) != taken.end())
    throw ConfigError(ErrorMessage{"taking a method written in Python",
                                   "its name is '" + name + "', that of a built-in one",
                                   "a name of its own", "give the class another `name`"});
  auto handle = std::make_shared<MethodHandle>();
  handle->entry = {
      name, summary, {}, [driver = Kept(std::move(driver)), defaults = defaults_of(defaults)] {
        return std::make_unique<PythonMethod>(driver, defaults);
      }};
  return handle;
}

}  // namespace

void bind_objective(py::module_& module) {
  module.def("method", &method, py::arg("driver"), py::arg("name"), py::arg("summary"),
             py::arg("defaults"));
}

}  // namespace retort::python
