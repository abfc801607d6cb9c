// retort data: what a reader found, per class, with pictures.
#include <fmt/ranges.h>
#include <cstring>
#include <ostream>

#include "cli/arguments.h"
#include "cli/host.h"
#include "core/file.h"
#include "core/sizes.h"
#include "io/archive.h"
#include "io/npy.h"
#include "report/picture.h"
#include "retort/core/device.h"
#include "retort/core/error.h"
#include "retort/core/records.h"
#include "retort/data/dataset.h"
#include "retort/data/image_file.h"

namespace retort::cli {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  retort data shapes\n"
    "  retort data my_images/ --resolution 32 --grid my_images.png\n"
    "  retort data imagenet64/ --classes imagenette\n"
    "  retort data shapes --export-npz shapes.npz\n";

int64_t count(const data::Split& split, int64_t c) {
  return split.rows_by_class.empty() ? 0 : std::ssize(split.rows_by_class[to_size(c)]);
}

/// `each` training images of every class, evenly spread over it.
std::vector<report::GridRow> some_images(const data::Dataset& data, int64_t each) {
  std::vector<report::GridRow> rows;
  const int64_t size = data.channels * data.height * data.width;
  for (int64_t c = 0; c < data.classes(); ++c) {
    report::GridRow row{data.class_names[to_size(c)], {}};
    const auto& members = data.train.rows_by_class[to_size(c)];
    const size_t shown = std::min(members.size(), to_size(each));
    for (size_t i = 0; i < shown; ++i) {
      const int64_t member = members[i * members.size() / shown];
      const uint8_t* pixels = data.train.images.data_ptr<uint8_t>() + member * size;
      row.images.emplace_back(pixels, pixels + size);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

/// A picture as coloured half blocks: two rows of pixels in a line of text.
void print_picture(std::ostream& out, const report::Picture& picture) {
  auto pixel = [&](int64_t x, int64_t y) {
    const int64_t at = (y * picture.width + x) * picture.channels;
    const auto value = [&](int64_t c) {
      return y < picture.height ? picture.pixels[to_size(at + (picture.channels == 3 ? c : 0))] : 0;
    };
    return fmt::format("{};{};{}", value(0), value(1), value(2));
  };
  for (int64_t y = 0; y < picture.height; y += 2) {
    for (int64_t x = 0; x < picture.width; ++x)
      out << "\033[38;2;" << pixel(x, y) << "m\033[48;2;" << pixel(x, y + 1) << "m▀";
    out << "\033[0m\n";
  }
}

/// One image of each of the first classes side by side, as far as the terminal is wide.
void print_strip(const Environment& environment, const data::Dataset& data) {
  report::Picture strip{0, data.height, 3, {}};
  const int64_t fit = std::max<int64_t>(1, environment.width / (data.width + 1));
  const auto rows = some_images(data, 1);
  const int64_t shown = std::min<int64_t>(fit, std::ssize(rows));
  strip.width = shown * (data.width + 1);
  strip.pixels.assign(to_size(strip.width * strip.height * 3), 0);
  for (int64_t c = 0; c < shown; ++c) {
    if (rows[to_size(c)].images.empty()) continue;
    const auto& image = rows[to_size(c)].images[0];
    for (int64_t y = 0; y < data.height; ++y)
      for (int64_t x = 0; x < data.width; ++x)
        for (int64_t k = 0; k < 3; ++k) {
          const int64_t plane = data.channels == 3 ? k : 0;
          strip.pixels[to_size((y * strip.width + c * (data.width + 1) + x) * 3 + k)] =
              image[to_size((plane * data.height + y) * data.width + x)];
        }
  }
  print_picture(environment.out, strip);
}

std::string raw_bytes(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.contiguous();
  return {static_cast<const char*>(flat.data_ptr()), flat.nbytes()};
}

void export_npz(const data::Dataset& data, const std::filesystem::path& path) {
  std::vector<std::pair<std::string, std::string>> members;
  auto add = [&](const std::string& name, DType dtype, const at::Tensor& tensor) {
    members.emplace_back(name + ".npy", npy_bytes(dtype, tensor.sizes().vec(), raw_bytes(tensor)));
  };
  add("x_train", DType::kU8, data.train.images);
  add("y_train", DType::kI64, data.train.labels);
  add("x_test", DType::kU8, data.test.images);
  add("y_test", DType::kI64, data.test.labels);
  if (data.preprocessing.kind() == "mean_std") {
    add("mean", DType::kF64, at::tensor(data.preprocessing.mean(), at::kDouble));
    add("std", DType::kF64, at::tensor(data.preprocessing.deviation(), at::kDouble));
  }
  write_stored_zip(path, members);
}

Json to_json(const data::Dataset& data) {
  Json classes = Json::array();
  for (int64_t c = 0; c < data.classes(); ++c)
    classes.push_back({{"name", data.class_names[to_size(c)]},
                       {"train", count(data.train, c)},
                       {"validation", count(data.validation, c)},
                       {"test", count(data.test, c)}});
  return {{"name", data.name},
          {"reader", data.reader},
          {"shape", {data.channels, data.height, data.width}},
          {"train", data.train.size()},
          {"validation", data.validation.size()},
          {"test", data.test.size()},
          {"mean", data.preprocessing.mean()},
          {"std", data.preprocessing.deviation()},
          {"normalisation", data.preprocessing.kind()},
          {"hash", data.hash},
          {"notes", data.notes},
          {"classes", classes}};
}

void print_found(const Environment& environment, const data::Dataset& data) {
  environment.out << fmt::format("{} ({}): {} classes, {} x {} x {}, {} training", data.name,
                                 data.reader, data.classes(), data.channels, data.height,
                                 data.width, data.train.size());
  if (data.validation.size() > 0)
    environment.out << fmt::format(", {} validation", data.validation.size());
  environment.out << fmt::format(" and {} test images\n", data.test.size());
  if (data.preprocessing.kind() == "mean_std")
    environment.out << fmt::format("mean {:.4f}, std {:.4f}\n",
                                   fmt::join(data.preprocessing.mean(), " "),
                                   fmt::join(data.preprocessing.deviation(), " "));
  for (const std::string& note : data.notes) environment.out << "note: " << note << "\n";
  std::vector<std::vector<std::string>> rows{{"class", "train", "validation", "test"}};
  for (int64_t c = 0; c < data.classes(); ++c)
    rows.push_back({data.class_names[to_size(c)], std::to_string(count(data.train, c)),
                    std::to_string(count(data.validation, c)),
                    std::to_string(count(data.test, c))});
  environment.out << "\n" << aligned(rows);
  if (environment.terminal) print_strip(environment, data);
}

}  // namespace

int run_data(const Environment& environment, const Arguments& arguments) {
  data::DataOptions options;
  std::string grid, npz;
  bool json = false;
  OptionSet set;
  set.group("Output");
  set.add("grid", grid, "write a PNG with ten images of every class, spread over it");
  set.add("export_npz", npz,
          "write x_train, y_train, x_test, y_test (uint8), mean and std as .npz");
  set.add("json", json, "print one JSON document on standard output");
  int64_t threads = 0;
  set.add("threads", threads, "processor threads that decode images; 0: all",
          {.min = 0, .max = 1024}, Role::kExecution);
  options.declare(set);
  std::string path;
  const Usage usage{"data", "Shows what a folder of images holds, class by class.", kExamples};
  if (!parse(environment, usage, arguments, set,
             {{"path", "a folder of images, an .npz file, or shapes (the built-in set)", &path,
               false}}))
    return 0;
  if (!path.empty()) options.data = path;
  use_threads(useful_threads(environment, threads));
  const data::Dataset data = open_data(environment, options);
  if (!npz.empty()) export_npz(data, npz);
  if (!grid.empty()) {
    const auto picture =
        report::draw_grid(some_images(data, 10), data.channels, data.height, data.width);
    write_atomically(grid, data::encode_png(picture.pixels.data(), picture.width, picture.height,
                                            picture.channels));
  }
  if (json) {
    environment.out << json_text(to_json(data), 2) << "\n";
  } else {
    print_found(environment, data);
    if (!grid.empty()) environment.out << "pictures: " << grid << "\n";
  }
  return 0;
}

}  // namespace retort::cli
