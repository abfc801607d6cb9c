// A network's calls on tensors, whose shapes the package has checked.
#include <pybind11/functional.h>
#include <pybind11/stl.h>

#include "bindings.h"
#include "python_objects.h"
#include "retort/core/random.h"
#include "retort/nets/network.h"

namespace retort::python {
namespace {

using nets::Network;
using SharedNetwork = std::shared_ptr<Network>;

/// Where and how a network is asked: what all calls share.
struct Question {
  at::Tensor theta, images;
  std::optional<at::Tensor> state;
  std::vector<int64_t> offsets;
  nets::NormMode norm = nets::NormMode::kBatch;

  nets::Inputs inputs() const {
    return {theta.detach(), state ? state->detach() : at::Tensor(), images.detach(), offsets, norm};
  }
};

losses::Targets targets_of(const at::Tensor& values, const std::string& kind, double temperature) {
  using losses::Kind;
  return {values.detach(),
          kind == "kl"        ? Kind::kKl
          : kind == "squared" ? Kind::kSquared
                              : Kind::kCrossEntropy,
          temperature};
}

py::tuple gradient(const Network& network, const Question& question, const losses::Targets& targets,
                   bool images, bool of_targets) {
  nets::Gradient found;
  {
    const LongCall call;
    found = network.gradient(question.inputs(), targets, {.images = images, .targets = of_targets});
  }
  return py::make_tuple(found.loss, found.theta, if_defined(found.images),
                        if_defined(found.targets), found.logits, if_defined(found.state));
}

py::tuple gradient_jvp(const Network& network, const Question& question,
                       const losses::Targets& targets, const at::Tensor& v, bool images,
                       bool of_targets) {
  nets::GradientJvp found;
  {
    const LongCall call;
    found = network.gradient_jvp(question.inputs(), targets, v.detach(),
                                 {.theta = true, .images = images, .targets = of_targets});
  }
  return py::make_tuple(found.loss, found.theta, if_defined(found.images),
                        if_defined(found.targets));
}

/// The way back of an observation, once.
struct Pullback {
  std::function<nets::Vjp(const std::map<std::string, at::Tensor>&)> function;

  py::tuple operator()(const std::map<std::string, at::Tensor>& cotangents) {
    nets::Vjp found;
    {
      const LongCall call;
      found = function(cotangents);
      function = {};  // and with it the graph
    }
    return py::make_tuple(if_defined(found.images), if_defined(found.theta));
  }
};

py::tuple observe(const Network& network, const Question& question,
                  const std::vector<std::string>& taps, bool theta, bool images) {
  nets::Observation seen;
  {
    const LongCall call;
    seen = network.observe(question.inputs(), taps, {.theta = theta, .images = images});
  }
  py::object pullback = py::none();
  if (seen.pullback) pullback = py::cast(Pullback{std::move(seen.pullback)});
  return py::make_tuple(seen.taps, if_defined(seen.state), pullback);
}

at::Tensor predict(const Network& network, const at::Tensor& theta,
                   const std::optional<at::Tensor>& state, const at::Tensor& images) {
  const LongCall call;
  return network.predict(theta.detach(), state ? state->detach() : at::Tensor(), images.detach());
}

/// (name, shape, offset, count) of every slot.
py::list slots(const nets::Layout& layout) {
  py::list all;
  for (const nets::Slot& slot : layout.slots)
    all.append(py::make_tuple(slot.name, slot.shape, slot.offset, slot.count));
  return all;
}

void bind_calls(py::class_<Network, SharedNetwork>& network) {
  network
      .def("gradient", &gradient, py::arg("question"), py::arg("targets"), py::arg("images"),
           py::arg("of_targets"))
      .def("gradient_jvp", &gradient_jvp, py::arg("question"), py::arg("targets"), py::arg("v"),
           py::arg("images"), py::arg("of_targets"))
      .def("observe", &observe, py::arg("question"), py::arg("taps"), py::arg("theta"),
           py::arg("images"))
      .def("predict", &predict, py::arg("theta"), py::arg("state"), py::arg("images"));
}

}  // namespace

void bind_network(py::module_& module) {
  py::enum_<nets::NormMode>(module, "NormMode")
      .value("batch", nets::NormMode::kBatch)
      .value("updating", nets::NormMode::kUpdating)
      .value("frozen", nets::NormMode::kFrozen);
  py::class_<Pullback>(module, "Pullback").def("__call__", &Pullback::operator());
  py::class_<losses::Targets>(module, "Targets")
      .def(py::init(&targets_of), py::arg("values"), py::arg("kind"), py::arg("temperature"));
  py::class_<Question>(module, "Question")
      .def(py::init([](at::Tensor theta, at::Tensor images, std::optional<at::Tensor> state,
                       std::vector<int64_t> offsets, nets::NormMode norm) {
             return Question{std::move(theta), std::move(images), std::move(state),
                             std::move(offsets), norm};
           }),
           py::arg("theta"), py::arg("images"), py::arg("state"), py::arg("offsets"),
           py::arg("norm"));
  py::class_<Network, SharedNetwork> network(module, "Network");
  network
      .def(py::init([](const std::string& specification, int64_t channels, int64_t height,
                       int64_t width, int64_t classes) -> SharedNetwork {
             const LongCall call;
             return nets::make_network(specification, {channels, height, width, classes});
           }),
           py::arg("specification"), py::arg("channels"), py::arg("height"), py::arg("width"),
           py::arg("classes"))
      .def_property_readonly("name", &Network::name)
      .def_property_readonly("shape",
                             [](const Network& n) {
                               const nets::Shape& s = n.shape();
                               return std::make_tuple(s.channels, s.height, s.width, s.classes);
                             })
      .def_property_readonly("parameters", [](const Network& n) { return n.parameters().size; })
      .def_property_readonly("statistics", [](const Network& n) { return n.state().size; })
      .def_property_readonly("slots", [](const Network& n) { return slots(n.parameters()); })
      .def_property_readonly("statistics_slots", [](const Network& n) { return slots(n.state()); })
      .def_property_readonly("taps", &Network::taps)
      .def_property_readonly("feature_size", &Network::feature_size)
      .def_property_readonly("couples_rows", &Network::couples_rows)
      .def("initial", &Network::initial, py::arg("stream"))
      .def("initial_state", &Network::initial_state)
      .def("engine_name", [](const Network& n, const std::string& device) {
        return n.engine_name(nets::Work::kGradientJvp, at::Device(device));
      });
  bind_calls(network);
}

}  // namespace retort::python
