// The MNIST family: four idx files, images [N, H, W] and labels [N], plain or .gz. No torch here.
#include "data/idx.h"

#include "data/layouts.h"
#include "retort/core/archive.h"
#include "retort/core/error.h"
#include "retort/core/file.h"

namespace retort::data {

namespace fs = std::filesystem;

IdxArray parse_idx(std::string_view bytes, const std::string& path, size_t dimensions) {
  const auto* head = reinterpret_cast<const uint8_t*>(bytes.data());
  const size_t head_bytes = 4 + 4 * dimensions;
  if (bytes.size() < head_bytes)
    throw DataError::wrong_size(path, static_cast<long long>(bytes.size()),
                                static_cast<long long>(head_bytes), "the header");
  if (head[0] != 0 || head[1] != 0 || head[2] != 8 || head[3] != dimensions)
    throw DataError::damaged(path, "the first four bytes are not those of an idx file",
                             "unsigned bytes in " + std::to_string(dimensions) + " dimensions");
  IdxArray array;
  int64_t total = 1;
  for (size_t d = 0; d < dimensions; ++d) {
    const uint8_t* size = head + 4 + 4 * d;
    array.shape.push_back(int64_t{size[0]} << 24 | int64_t{size[1]} << 16 | int64_t{size[2]} << 8 |
                          size[3]);
    if (array.shape.back() < 1 || __builtin_mul_overflow(total, array.shape.back(), &total))
      throw DataError::damaged(path, "size " + std::to_string(array.shape.back()) +
                                         " in dimension " + std::to_string(d));
  }
  array.data = bytes.substr(head_bytes);
  if (static_cast<int64_t>(array.data.size()) != total)
    throw DataError::wrong_size(path, static_cast<long long>(array.data.size()), total,
                                "values after the header");
  return array;
}

namespace {

constexpr uint64_t kLimit = uint64_t{4} << 30;
const char* const kFolders[] = {"", "MNIST/raw", "FashionMNIST/raw", "raw"};

// The file of one part in any of its usual spellings.
std::optional<fs::path> find_part(const fs::path& folder, const std::string& part,
                                  const std::string& kind) {
  std::error_code ignored;
  for (const char* separator : {"-", "."})
    for (const char* ending : {"", ".gz"})
      if (const fs::path file = folder / (part + separator + kind + "-ubyte" + ending);
          fs::is_regular_file(file, ignored))
        return file;
  return std::nullopt;
}

std::optional<fs::path> find_idx(const fs::path& path) {
  for (const char* sub : kFolders) {
    const fs::path folder = *sub ? path / sub : path;
    if (find_part(folder, "train-images", "idx3") || find_part(folder, "train-labels", "idx1") ||
        find_part(folder, "t10k-images", "idx3") || find_part(folder, "t10k-labels", "idx1"))
      return folder;
  }
  return std::nullopt;
}

std::string bytes_of(const fs::path& file) {
  return file.extension() == ".gz" ? read_gzip(file, kLimit) : read_file(file, kLimit);
}

void read_part(const fs::path& folder, const std::string& part, RawDataset& raw, RawImages& out) {
  const auto image_file = find_part(folder, part + "-images", "idx3");
  const auto label_file = find_part(folder, part + "-labels", "idx1");
  if (!image_file) require_file(folder / (part + "-images-idx3-ubyte"), raw.reader);
  if (!label_file) require_file(folder / (part + "-labels-idx1-ubyte"), raw.reader);
  const std::string image_bytes = bytes_of(*image_file), label_bytes = bytes_of(*label_file);
  const IdxArray images = parse_idx(image_bytes, image_file->string(), 3);
  const IdxArray labels = parse_idx(label_bytes, label_file->string(), 1);
  if (images.shape[0] != labels.shape[0])
    throw DataError::damaged(label_file->string(), std::to_string(labels.shape[0]) +
                                                       " labels for " +
                                                       std::to_string(images.shape[0]) + " images");
  if (raw.height == 0) {
    raw.height = images.shape[1];
    raw.width = images.shape[2];
  }
  if (images.shape[1] != raw.height || images.shape[2] != raw.width)
    throw DataError::damaged(image_file->string(),
                             "images of " + std::to_string(images.shape[1]) + " x " +
                                 std::to_string(images.shape[2]) + ", unlike the training part",
                             std::to_string(raw.height) + " x " + std::to_string(raw.width));
  for (size_t i = 0; i < labels.data.size(); ++i) {
    const auto label = static_cast<uint8_t>(labels.data[i]);
    check_label(label, 0, 9, label_file->string(), static_cast<int64_t>(i));
    out.labels.push_back(label);
  }
  out.pixels.assign(images.data.begin(), images.data.end());
}

// Fashion-MNIST's files have MNIST's names; only the folder tells them apart.
bool is_fashion(const fs::path& folder) {
  const fs::path whole = fs::weakly_canonical(folder);
  const fs::path named = whole.filename() == "raw" ? whole.parent_path() : whole;
  return lower(named.filename().string()).find("fashion") != std::string::npos;
}

RawDataset read_idx(const fs::path& path, const ReadOptions& options) {
  const fs::path folder = *find_idx(path);
  RawDataset raw;
  const bool fashion = is_fashion(folder);
  raw.name = fashion ? "fashion-mnist" : "mnist";
  raw.reader = "MNIST-family idx files";
  raw.channels = 1;
  raw.class_names =
      fashion
          ? std::vector<std::string>{"T-shirt/top", "trouser", "pullover", "dress", "coat",
                                     "sandal",      "shirt",   "sneaker",  "bag",   "ankle boot"}
          : digits();
  raw.published = fashion ? Normalisation{{0.2861}, {0.3530}} : Normalisation{{0.1307}, {0.3081}};
  read_part(folder, "train", raw, raw.train);
  read_part(folder, "t10k", raw, raw.test);
  keep_classes(raw, options.classes);
  return raw;
}

}  // namespace

Reader idx_reader() {
  return {"idx",
          "MNIST family: {train,t10k}-images-idx3-ubyte and {train,t10k}-labels-idx1-ubyte, plain "
          "or .gz",
          [](const fs::path& folder) { return find_idx(folder).has_value(); }, read_idx};
}

}  // namespace retort::data
