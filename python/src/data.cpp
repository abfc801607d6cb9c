// Images that Python holds, as the data of a command: the tensors are used as they are.
#include <fmt/format.h>

#include "data_handle.h"
#include "retort/core/error.h"

namespace retort::python {
namespace {

/// Options that a reader of files follows; images in memory have been read.
void refuse_reading_options(const data::DataOptions& options) {
  data::DataOptions plain;
  Problems problems;
  const auto refuse = [&](const char* name, bool given) {
    if (given)
      problems.add(fmt::format("{}: the images were given in memory; change them before", name));
  };
  refuse("resolution", options.resolution != plain.resolution);
  refuse("greyscale", options.greyscale);
  refuse("classes", !options.classes.empty());
  refuse("label_set", options.label_set != plain.label_set);
  problems.raise("taking images from memory");
}

/// One part: uint8 [N, C, H, W] and int64 [N], contiguous, on the CPU.
data::Split part_of(const std::string& part, const at::Tensor& images, const at::Tensor& labels,
                    const data::RawDataset& about) {
  const int64_t classes = std::ssize(about.class_names);
  const int64_t* label = labels.const_data_ptr<int64_t>();
  for (int64_t row = 0; row < labels.size(0); ++row)
    if (label[row] < 0 || label[row] >= classes)
      throw DataError(ErrorMessage{
          "taking images from memory",
          fmt::format("label {} of {} image {}", label[row], part, row),
          fmt::format("labels from 0 to {}, one for each of {} classes", classes - 1, classes),
          "number the classes from 0, or name them all with class_names"});
  return data::make_split(images, labels, classes);
}

void require_images_of_every_class(const DataHandle& handle) {
  for (size_t c = 0; c < handle.train.rows_by_class.size(); ++c)
    if (handle.train.rows_by_class[c].empty())
      throw DataError(ErrorMessage{
          "taking images from memory",
          fmt::format("class {} ('{}') has no training image", c, handle.about.class_names[c]),
          "images of every class", "leave the class out and number the others anew"});
}

std::shared_ptr<DataHandle> make(const std::string& name, std::vector<std::string> class_names,
                                 const at::Tensor& images, const at::Tensor& labels,
                                 const std::optional<at::Tensor>& test_images,
                                 const std::optional<at::Tensor>& test_labels, bool mirrorable) {
  auto handle = std::make_shared<DataHandle>();
  data::RawDataset& about = handle->about;
  about.name = name;
  about.reader = "images in memory";
  about.channels = images.size(1);
  about.height = images.size(2);
  about.width = images.size(3);
  about.class_names = std::move(class_names);
  about.mirrorable = mirrorable;
  handle->train = part_of("training", images, labels, about);
  if (test_images) {
    handle->test = part_of("test", *test_images, *test_labels, about);
  } else {
    handle->test = part_of("test", images.slice(0, 0, 0), labels.slice(0, 0, 0), about);
  }
  require_images_of_every_class(*handle);
  return handle;
}

}  // namespace

data::Dataset DataHandle::open(const data::DataOptions& options, const std::filesystem::path& cache,
                               const ProgressStyle& progress) const {
  refuse_reading_options(options);
  return data::prepare_dataset(about, train, test, options, cache, progress);
}

void bind_data(py::module_& module) {
  py::class_<DataHandle, std::shared_ptr<DataHandle>>(module, "Data")
      .def(py::init(&make), py::arg("name"), py::arg("class_names"), py::arg("images"),
           py::arg("labels"), py::arg("test_images"), py::arg("test_labels"), py::arg("mirrorable"))
      .def_property_readonly("images", [](const DataHandle& data) { return data.train.images; })
      .def_property_readonly("labels", [](const DataHandle& data) { return data.train.labels; })
      .def_property_readonly("test_images", [](const DataHandle& data) { return data.test.images; })
      .def_property_readonly("test_labels", [](const DataHandle& data) { return data.test.labels; })
      .def_property_readonly("class_names",
                             [](const DataHandle& data) { return data.about.class_names; })
      .def_property_readonly("name", [](const DataHandle& data) { return data.about.name; });
}

}  // namespace retort::python
