// What the readers share: finding files, pixel order, labels, class choice. No torch here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "retort/data/raw.h"

namespace retort::data {

/// The first of `folder/sub` ("" for the folder itself) that holds one of `files` as a plain file.
std::optional<std::filesystem::path> folder_holding(const std::filesystem::path& folder,
                                                    std::initializer_list<const char*> subfolders,
                                                    std::initializer_list<const char*> files);

/// Throws DataError naming the file of the layout that is missing.
void require_file(const std::filesystem::path& path, const std::string& layout);

/// Lines without their ends and trailing blanks; empty lines at the end dropped.
std::vector<std::string> lines_of(const std::filesystem::path& path);

/// Class names, one a line, exactly `count`.
std::vector<std::string> names_of(const std::filesystem::path& path, size_t count);

/// Writes one [H, W, C] image as [C, H, W].
void to_planes(const uint8_t* interleaved, int64_t pixels, int64_t channels, uint8_t* planes);

/// Appends one [H, W, C] image as [C, H, W].
void append_planes(std::vector<uint8_t>& out, const uint8_t* interleaved, int64_t pixels,
                   int64_t channels);

/// Throws DataError naming file and record where `label` is outside first..last.
void check_label(int64_t label, int64_t first, int64_t last, const std::string& path,
                 int64_t record);

std::string lower(std::string_view text);

/// The last name in a path, whatever its spelling ("." or a slash at the end).
std::string folder_name(const std::filesystem::path& path);

/// Appends its id to every name that comes more than once: "crane (n02012849)".
void make_unique(std::vector<std::string>& names, const std::vector<std::string>& ids);

/// Whether a set of that name shows digits or letters, whatever its layout.
bool are_characters(std::string_view name);

std::vector<std::string> digits();  ///< "0" to "9"
Normalisation cifar10_normalisation();
Normalisation imagenet_normalisation();

/// Which classes are kept, and in which order.
struct ClassChoice {
  std::vector<int64_t> kept;       ///< old label of each new one
  std::vector<int64_t> new_label;  ///< of each old one; -1: dropped
};

/// Resolves ReadOptions::classes (empty: all). ConfigError for what is unknown, ambiguous or twice.
ClassChoice choose_classes(const std::vector<std::string>& names,
                           const std::vector<std::string>& ids,
                           const std::vector<std::string>& wanted);

/// The texts of the classes that are kept, in their new order.
std::vector<std::string> chosen(const std::vector<std::string>& texts, const ClassChoice& choice);

/// Chooses among `raw`'s names and ids, and relabels or drops the images that it already holds.
void keep_classes(RawDataset& raw, const std::vector<std::string>& wanted);

/// What follows every reader: the asked size and channels, and the checks. `origin` is for
/// messages.
void finish_reading(RawDataset& raw, const ReadOptions& options, const std::string& origin);

}  // namespace retort::data
