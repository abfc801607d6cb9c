// Distilled sets: files, tensors, pictures.
#include <fmt/format.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "augment/siamese.h"
#include "bindings.h"
#include "cli/arguments.h"
#include "core/version.h"
#include "report/picture.h"
#include "retort/core/error.h"
#include "retort/data/image_file.h"
#include "retort/synthetic/bundle.h"
#include "synthetic/check.h"

namespace retort::python {
namespace {

namespace fs = std::filesystem;
using synthetic::Bundle;
using SharedBundle = std::shared_ptr<Bundle>;

SharedBundle load(const std::string& target) {
  return std::make_shared<Bundle>(synthetic::load_bundle(cli::bundle_of(target)));
}

/// What a set of tensors says beside images and labels.
SharedBundle make(const at::Tensor& images, const at::Tensor& labels,
                  const std::optional<at::Tensor>& soft_labels,
                  const std::vector<std::string>& class_names, const std::vector<double>& mean,
                  const std::vector<double>& deviation, const py::dict& about) {
  auto bundle = std::make_shared<Bundle>();
  const at::Tensor order = at::argsort(labels, /*stable=*/true, 0, false);
  bundle->images = images.index_select(0, order);
  bundle->labels = labels.index_select(0, order);
  if (soft_labels) bundle->soft_labels = soft_labels->index_select(0, order);
  bundle->class_names = class_names;
  std::string problem;
  bundle->preprocessing =
      synthetic::restore({mean.empty() ? "none" : "mean_std", mean, deviation, {}}, problem);
  const auto take = [&](const char* key, std::string& field) {
    if (about.contains(key)) field = about[key].cast<std::string>();
  };
  take("data_name", bundle->data_name);
  take("method", bundle->method);
  take("network", bundle->network);
  take("protocol", bundle->protocol);
  take("augmentation", bundle->augmentation);
  take("soft_label_kind", bundle->soft_label_kind);
  bundle->program_version = version();
  if (problem.empty()) problem = synthetic::bundle_problem(*bundle);
  if (!problem.empty())
    throw DataError(ErrorMessage{"making a set of tensors",
                                 problem,
                                 "float images [M, C, H, W] with integer labels [M]",
                                 {}});
  bundle->storage_bytes = bundle->stored_bytes();
  return bundle;
}

/// Pixels in [0, 1] as they are displayed.
at::Tensor pixels(const Bundle& bundle) {
  if (bundle.preprocessing_missing)
    throw StateError(
        ErrorMessage{"showing a set",
                     "its whitening is not in the file",
                     {},
                     "retort.evaluate(set, data) takes it from the data that it was made from"});
  return bundle.preprocessing.invert(bundle.images);
}

report::GridRow row_of(const std::string& label, const at::Tensor& bytes, int64_t first,
                       int64_t last) {
  const int64_t size = bytes[0].numel();
  report::GridRow row{label, {}};
  for (int64_t i = first; i < last; ++i) {
    const uint8_t* from = bytes.const_data_ptr<uint8_t>() + i * size;
    row.images.emplace_back(from, from + size);
  }
  return row;
}

/// A PNG of the set, one row a class.
py::bytes picture(const Bundle& bundle, int64_t per_class, int64_t scale) {
  const at::Tensor bytes = pixels(bundle).mul(255).round().to(at::kByte).contiguous();
  std::vector<report::GridRow> rows;
  int64_t at = 0;
  const auto counts = bundle.counts();
  for (size_t c = 0; c < counts.size(); at += counts[c++])
    rows.push_back(row_of(bundle.class_names[c], bytes, at, at + std::min(counts[c], per_class)));
  const auto drawn =
      report::draw_grid(rows, bytes.size(1), bytes.size(2), bytes.size(3), per_class, scale);
  return data::encode_png(drawn.pixels.data(), drawn.width, drawn.height, drawn.channels);
}

/// The published augmentation of a batch: `strategy` as --augmentation takes it.
at::Tensor augment(const at::Tensor& images, const std::string& strategy, uint64_t seed,
                   bool shared) {
  RandomStream stream(seed, "python.augment");
  const augment::Strategy parsed = augment::parse_strategy(strategy);
  const int64_t height = images.size(2), width = images.size(3);
  const at::Tensor rows = shared
                              ? augment::draw_shared(parsed, height, width, stream)
                              : augment::draw_each(parsed, images.size(0), height, width, stream);
  return augment::apply(images, rows);
}

std::optional<at::Tensor> if_defined(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional<at::Tensor>(tensor) : std::nullopt;
}

void bind_fields(py::class_<Bundle, SharedBundle>& set) {
  const auto soft = [](const Bundle& b) { return if_defined(b.soft_labels); };
  const auto rates = [](const Bundle& b) { return if_defined(b.step_learning_rates); };
  set.def_readonly("images", &Bundle::images)
      .def_readonly("labels", &Bundle::labels)
      .def_property_readonly("soft_labels", soft)
      .def_readonly("soft_label_kind", &Bundle::soft_label_kind)
      .def_readonly("student_learning_rate", &Bundle::student_learning_rate)
      .def_property_readonly("step_learning_rates", rates)
      .def_readonly("class_names", &Bundle::class_names)
      .def_readonly("method", &Bundle::method)
      .def_readonly("parametrisation", &Bundle::parametrisation)
      .def_readonly("data_name", &Bundle::data_name)
      .def_readonly("data_hash", &Bundle::data_hash)
      .def_readonly("recipe", &Bundle::recipe)
      .def_readonly("protocol", &Bundle::protocol)
      .def_readonly("network", &Bundle::network)
      .def_readonly("augmentation", &Bundle::augmentation)
      .def_readonly("storage_bytes", &Bundle::storage_bytes)
      .def_readonly("seed", &Bundle::seed)
      .def_readonly("compact", &Bundle::compact)
      .def_property_readonly("storage", &Bundle::storage)
      .def_property_readonly("counts", &Bundle::counts)
      .def_property_readonly("images_per_class_equivalents", &Bundle::images_per_class_equivalents)
      .def_property_readonly("preprocessing",
                             [](const Bundle& b) { return b.preprocessing.kind(); })
      .def_readonly("preprocessing_missing", &Bundle::preprocessing_missing)
      .def_property_readonly("mean", [](const Bundle& b) { return b.preprocessing.mean(); })
      .def_property_readonly("deviation",
                             [](const Bundle& b) { return b.preprocessing.deviation(); })
      .def_property_readonly("whitening", [](const Bundle& b) {
        return std::make_pair(if_defined(b.preprocessing.zca_mean()),
                              if_defined(b.preprocessing.zca_matrix()));
      });
}

}  // namespace

void bind_sets(py::module_& module) {
  py::class_<Bundle, SharedBundle> set(module, "Set");
  bind_fields(set);
  set.def(py::init(&make), py::arg("images"), py::arg("labels"), py::arg("soft_labels"),
          py::arg("class_names"), py::arg("mean"), py::arg("deviation"), py::arg("about"))
      .def("pixels", &pixels)
      .def("picture", &picture, py::arg("per_class") = 10, py::arg("scale") = 0)
      .def("save",
           [](const Bundle& bundle, const fs::path& path) { synthetic::save_bundle(path, bundle); })
      .def("export", [](const Bundle& bundle, const std::string& format, const fs::path& path) {
        synthetic::export_bundle(bundle, format, path);
      });
  module.def("load", &load, py::arg("target"));
  module.def("augment", &augment, py::arg("images"), py::arg("strategy"), py::arg("seed"),
             py::arg("shared") = false);
}

}  // namespace retort::python
