// What the readers produce: images as bytes, labels, class names. No torch here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "retort/core/progress.h"
#include "retort/data/image_file.h"

namespace retort::data {

/// N images, uint8, [N, C, H, W] in one block, with their class labels.
struct RawImages {
  std::vector<uint8_t> pixels;
  std::vector<int64_t> labels;
  int64_t size() const { return static_cast<int64_t>(labels.size()); }
};

/// Per-channel mean and standard deviation of pixels scaled to [0, 1].
struct Normalisation {
  std::vector<double> mean;
  std::vector<double> deviation;
};

/// A labelled image set as read. Labels index class_names.
struct RawDataset {
  std::string name;    ///< "cifar10", "mnist", "folder", ...
  std::string reader;  ///< which reader took it, for people: "CIFAR-10 binary"
  int64_t channels = 0, height = 0, width = 0;
  std::vector<std::string> class_names;
  std::vector<std::string> class_ids;  ///< wnids or folder names, where they differ; else empty
  RawImages train;
  RawImages test;  ///< empty where the source has none: split off later, seeded
  std::optional<Normalisation> published;  ///< of the named sets
  bool fitted = false;                     ///< the images were brought to the asked size already
  bool mirrorable = true;                  ///< a mirrored image keeps its class; not of characters
  bool has_coarse_labels = false;          ///< those are its labels where they were asked for
  std::vector<std::string> notes;          ///< what a user should know ("test part split off: ...")
};

/// What a reader may need to know.
struct ReadOptions {
  int64_t resolution = 0;      ///< side to resize and centre-crop to; 0: as they are (folders of
                               ///< mixed sizes then refuse and say so)
  Fit fit = Fit::kCrop;        ///< how they come to that size
  bool upright = true;         ///< image files turned as their EXIF orientation says
  bool skip_damaged = false;   ///< pass over image files that cannot be read
  int threads = 0;             ///< that decode image files; 0: all
  bool greyscale = false;      ///< one channel
  bool coarse_labels = false;  ///< CIFAR-100: 20 superclasses in place of 100
  /// A subset: names, indices, wnids or one named list; empty: all.
  std::vector<std::string> classes = {};
  ProgressStyle progress = {};  ///< where a reading of more than some seconds shows how far it is
};

struct Listing;  // data/decode.h of the sources: image files with their classes, not decoded yet

/// A reader of one layout.
struct Reader {
  std::string name;     ///< "cifar10-binary"
  std::string summary;  ///< one line for people: what files it looks for
  bool (*recognises)(const std::filesystem::path& folder);
  RawDataset (*read)(const std::filesystem::path& folder, const ReadOptions& options);
  /// Of a layout of image files: which they are, so that a set larger than the memory can be
  /// packed. Null for others.
  Listing (*list)(const std::filesystem::path& folder, const ReadOptions& options) = nullptr;
};

/// All readers in the order in which they are asked. The last one recognises the folders of others
/// too.
const std::vector<Reader>& readers();

/// Reads the data set at `path` (a folder, or one .npz file) with the first reader that recognises
/// it, keeps the asked classes (relabelled 0..n-1 in the asked order; for a named list, its order),
/// and checks that every label is in range and every class has training images. DataError naming
/// the file and record otherwise; ConfigError for unknown classes.
RawDataset read_dataset(const std::filesystem::path& path, const ReadOptions& options);

/// The built-in set: ten classes of drawn shapes, 3x32x32, 10,000 training and 2,000 test images,
/// the same bytes every time. `scale` below 1 makes a proportionally smaller one (for tests).
RawDataset make_shapes(double scale = 1.0);

/// A named list of classes ("imagenette"): ImageNet indices with wnids and names.
struct ClassList {
  std::string name;
  std::vector<int64_t> imagenet_indices;
};
const std::vector<ClassList>& class_lists();

}  // namespace retort::data
