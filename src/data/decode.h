// Image files decoded on several threads, with what is wrong with them. No torch here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "data/image_notes.h"
#include "retort/core/stop.h"
#include "retort/data/image_file.h"
#include "retort/data/raw.h"

namespace retort::data {

/// An image file and its class.
struct LabelledFile {
  std::filesystem::path path;
  int64_t label = 0;
};

/// A set of image files before they are decoded: everything of `raw` but the images, and size and
/// channels.
struct Listing {
  RawDataset raw;
  std::vector<LabelledFile> train, test;
};

/// The files of both parts of a set, numbered through: training files first. All are looked at
/// before any of the damaged ones is complained about.
class ImageFiles {
 public:
  ImageFiles(std::vector<LabelledFile> train, std::vector<LabelledFile> test,
             const ReadOptions& options);

  int64_t size() const { return std::ssize(train) + std::ssize(test); }
  const LabelledFile& file(int64_t i) const;

  /// Finds out the size of the images: the asked resolution, or the one that all headers agree on.
  /// DataError where they do not.
  void measure(const StopFlag* stop = nullptr);

  /// One file as it goes into the set: of the set's size and channels; counted in `findings`.
  DecodedImage decode(int64_t i);

  /// Decodes every file that is not known as damaged, on several threads, and notes the others.
  void each(const std::function<void(int64_t, const DecodedImage&)>& take,
            const StopFlag* stop = nullptr);

  /// DataError that lists the damaged files, unless they are to be skipped: then they leave the
  /// parts, with a note.
  void settle_damaged();

  const std::map<int64_t, std::string>& damaged() const { return damaged_; }

  std::vector<LabelledFile> train, test;
  int64_t width = 0, height = 0;
  int64_t channels = 3;  ///< 1 where grey is asked for, or all headers say so
  bool all_grey = true;  ///< of what was decoded or measured
  ImageFindings findings;
  std::vector<std::string> notes;

 private:
  template <class Work>
  void look(const char* doing, const Work& work, const StopFlag* stop);

  ReadOptions options_;
  std::map<int64_t, std::string> damaged_;  ///< what is wrong, by number
  std::mutex mutex_;
};

/// How one of the parts is fitted: the margin of eval-crop is for the images that are tested on,
/// which are all where the test part is yet to be split off.
Fit fit_of(const ReadOptions& options, bool is_test, bool has_test);

/// Decodes the files of both parts in their order into `raw`: pixels, labels, channels, height,
/// width, notes. One channel where every file is grey, else RGB. ResourceError where the memory is
/// too small, before any is taken.
void decode_files(const std::vector<LabelledFile>& train, const std::vector<LabelledFile>& test,
                  const ReadOptions& options, RawDataset& raw);

/// Whether the name ends as image files of a kind that is read do, in any case.
bool has_image_ending(const std::filesystem::path& path);

}  // namespace retort::data
