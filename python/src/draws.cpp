// What is drawn: named streams, augmentations, real images.
#include <pybind11/stl.h>

#include "augment/siamese.h"
#include "bindings.h"
#include "python_objects.h"
#include "sampler.h"

namespace retort::python {
namespace {

RandomStream stream(uint64_t seed, const std::string& purpose,
                    const std::vector<uint64_t>& indices) {
  std::array<uint64_t, 4> all{};
  if (indices.size() > all.size()) throw py::value_error("a stream is named by at most 4 indices");
  std::copy(indices.begin(), indices.end(), all.begin());
  return {seed, purpose, all[0], all[1], all[2], all[3]};
}

at::Tensor normal(RandomStream& from, const std::vector<int64_t>& shape) {
  at::Tensor values = at::empty(shape);
  from.fill_normal(values.data_ptr<float>(), values.numel());
  return values;
}

at::Tensor uniform(RandomStream& from, const std::vector<int64_t>& shape, float low, float high) {
  at::Tensor values = at::empty(shape);
  from.fill_uniform(values.data_ptr<float>(), values.numel(), low, high);
  return values;
}

at::Tensor draw_augmentation(const std::string& strategy, int64_t height, int64_t width,
                             RandomStream& from, std::optional<int64_t> count) {
  const augment::Strategy parsed = augment::parse_strategy(strategy);
  return count ? augment::draw_each(parsed, *count, height, width, from)
               : augment::draw_shared(parsed, height, width, from);
}

at::Tensor apply(const at::Tensor& images, const at::Tensor& rows) {
  const LongCall call;
  const at::NoGradGuard no_graph;
  return augment::apply(images.detach(), rows.detach());
}

at::Tensor pullback(const at::Tensor& rows, const at::Tensor& cotangents) {
  const LongCall call;
  return augment::pullback(rows.detach(), cotangents.detach());
}

}  // namespace

void bind_draws(py::module_& module) {
  py::class_<RandomStream>(module, "RandomStream")
      .def(py::init(&stream), py::arg("seed"), py::arg("purpose"), py::arg("indices"))
      .def("integer", &RandomStream::uniform_int, py::arg("n"))
      .def("permutation", &RandomStream::permutation, py::arg("n"))
      .def("sample", &RandomStream::sample, py::arg("n"), py::arg("count"))
      .def("normal", &normal, py::arg("shape"))
      .def("uniform", &uniform, py::arg("shape"), py::arg("low"), py::arg("high"));
  module.def("draw_augmentation", &draw_augmentation, py::arg("strategy"), py::arg("height"),
             py::arg("width"), py::arg("stream"), py::arg("count"));
  module.def("apply_augmentation", &apply, py::arg("images"), py::arg("rows"));
  module.def("pull_augmentation_back", &pullback, py::arg("rows"), py::arg("cotangents"));
  py::class_<Sampler, std::shared_ptr<Sampler>>(module, "Sampler")
      .def_property_readonly("size", &Sampler::size)
      .def_property_readonly("classes", &Sampler::classes)
      .def("rows", &Sampler::rows, py::arg("stream"), py::arg("label"), py::arg("count"))
      .def("images", &Sampler::images, py::arg("rows"))
      .def("labels", &Sampler::labels, py::arg("rows"));
}

}  // namespace retort::python
