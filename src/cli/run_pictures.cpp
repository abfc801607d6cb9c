#include "cli/run_pictures.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

#include "core/file.h"
#include "report/picture.h"
#include "retort/core/error.h"
#include "retort/data/image_file.h"

namespace retort::cli {
namespace {

namespace fs = std::filesystem;

/// Names of the pictures in `folder` that begin with `start`, in alphabetical order.
std::vector<std::string> pictures_named(const fs::path& folder, const std::string& start) {
  std::vector<std::string> names;
  if (!fs::is_directory(folder)) return names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(start) && name.ends_with(".png")) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// What the name of a row says, as "row-10-000100.png": its images, and after how many iterations.
struct RowName {
  int64_t images = 0;
  std::string iterations;

  explicit RowName(const std::string& name) {
    const size_t first = name.find('-') + 1, second = name.find('-', first);
    if (second == std::string::npos) return;
    const std::string_view count = std::string_view(name).substr(first, second - first);
    std::from_chars(count.data(), count.data() + count.size(), images);
    iterations = name.substr(second + 1, name.size() - second - 5);
    iterations.erase(0, std::min(iterations.find_first_not_of('0'), iterations.size() - 1));
  }
};

/// The images of a row, planar.
report::GridRow images_of(const data::DecodedImage& row, const RowName& name) {
  report::GridRow images{name.iterations, {}};
  const int64_t width = row.width / name.images;
  for (int64_t i = 0; i < name.images; ++i) {
    std::vector<uint8_t>& image = images.images.emplace_back();
    for (int64_t c = 0; c < row.channels; ++c)
      for (int64_t y = 0; y < row.height; ++y)
        for (int64_t x = i * width; x < (i + 1) * width; ++x)
          image.push_back(row.pixels[static_cast<size_t>((y * row.width + x) * row.channels + c)]);
  }
  return images;
}

/// The first image of the classes after more and more iterations, a row each; empty where fewer
/// than two were kept.
std::string history(const fs::path& folder) {
  std::vector<report::GridRow> rows;
  int64_t channels = 0, height = 0, width = 0;
  for (const std::string& file : pictures_named(folder, "row-")) {
    const RowName name(file);
    const std::string path = (folder / file).string();
    const data::DecodedImage row = data::decode_image(read_file(path), path);
    if (name.images < 1 || row.width < name.images) continue;
    if (rows.empty()) {
      channels = row.channels;
      height = row.height;
      width = row.width / name.images;
    }
    if (row.channels == channels && row.height == height && row.width / name.images == width)
      rows.push_back(images_of(row, name));
  }
  if (rows.size() < 2) return {};
  const auto picture = report::draw_grid(rows, channels, height, width, 10,
                                         std::max<int64_t>(1, 48 / std::max(height, width)));
  return data::encode_png(picture.pixels.data(), picture.width, picture.height, picture.channels);
}

}  // namespace

std::vector<report::Figure> pictures_of(const fs::path& folder) {
  const fs::path images = folder / "images";
  std::vector<report::Figure> pictures;
  const auto add = [&](const std::string& name, const std::string& caption) {
    if (fs::exists(images / name)) pictures.push_back({caption, read_file(images / name)});
  };
  add("final.png", "The synthetic set, one row a class");
  add("bases.png", "The bases that every image is combined from");
  add("initial.png", "The images before the first iteration");
  report::Figure over_time{
      "The first image of each of the first ten classes, after as many iterations as each row says",
      data::png_available() ? history(images) : std::string()};
  if (!over_time.png.empty()) pictures.push_back(std::move(over_time));
  for (const std::string& name : pictures_named(images, "recall-"))
    add(name, "Recalled from mixed labels: " + name);
  return pictures;
}

}  // namespace retort::cli
