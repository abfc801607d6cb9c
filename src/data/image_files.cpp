// Finding image files below folders. No torch here.
#include "data/image_files.h"

#include <algorithm>

#include "data/decode.h"
#include "data/layouts.h"

namespace retort::data {

namespace fs = std::filesystem;

namespace {

constexpr size_t kNamesShown = 4;
constexpr int kMostEntries = 200000;  // of a search for one image; a wrong path may be a whole disk

std::string counted(int64_t count, const std::string& one, const std::string& many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

int64_t sum(const std::map<std::string, int64_t>& counts) {
  int64_t all = 0;
  for (const auto& [name, count] : counts) all += count;
  return all;
}

std::string printable(std::string name) {
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return c < 0x20; }, '?');
  return name;
}

bool is_image(const fs::directory_entry& entry) {
  std::error_code ignored;
  return has_image_ending(entry.path()) && !is_leftover(entry.path().filename().string()) &&
         !entry.is_directory(ignored);
}

template <class Visit>
void each_entry(const fs::path& folder, PassedOver& passed, const Visit& visit) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (is_leftover(name))
      ++passed.leftovers[printable(name)];
    else
      visit(entry);
  }
}

/// A link to a folder that it lies in: walking would not come to an end.
bool leads_up(const fs::directory_entry& entry) {
  std::error_code ignored;
  if (!entry.is_symlink(ignored)) return false;
  const fs::path target = fs::canonical(entry.path(), ignored) / "";
  const fs::path here = fs::canonical(entry.path().parent_path(), ignored) / "";
  return here.string().starts_with(target.string());
}

void walk(const fs::path& folder, PassedOver& passed, std::vector<fs::path>& images) {
  each_entry(folder, passed, [&](const fs::directory_entry& entry) {
    std::error_code ignored;  // of a link to itself
    if (entry.is_directory(ignored) && leads_up(entry))
      ++passed.leftovers[printable(entry.path().filename().string())];
    else if (entry.is_directory(ignored))
      walk(entry.path(), passed, images);
    else if (has_image_ending(entry.path()))
      images.push_back(entry.path());
    else
      ++passed.kinds[printable(lower(entry.path().extension().string()))];
  });
}

bool find_image(const fs::path& folder, int& left) {
  std::vector<fs::path> folders;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (--left < 0) return false;
    if (is_leftover(entry.path().filename().string())) continue;
    if (entry.is_directory(ignored))
      folders.push_back(entry.path());
    else if (has_image_ending(entry.path()))
      return true;
  }
  return std::any_of(folders.begin(), folders.end(),
                     [&](const fs::path& below) { return find_image(below, left); });
}

}  // namespace

void PassedOver::add(const PassedOver& other) {
  for (const auto& [name, count] : other.leftovers) leftovers[name] += count;
  for (const auto& [name, count] : other.kinds) kinds[name] += count;
}

std::string PassedOver::kinds_text() const {
  std::string text;
  for (const auto& [ending, count] : kinds)
    text += (text.empty() ? "" : ", ") + std::to_string(count) + " " +
            (ending.empty() ? "without an ending" : ending);
  return text;
}

std::string PassedOver::note() const {
  std::string text;
  if (!leftovers.empty()) {
    text = counted(sum(leftovers), "hidden or system file or folder",
                   "hidden or system files and folders") +
           " (";
    size_t shown = 0;
    for (const auto& [name, count] : leftovers) {
      if (shown == kNamesShown) text += ", ...";
      if (shown++ >= kNamesShown) break;
      text += (shown > 1 ? ", " : "") + name;
    }
    text += ")";
  }
  if (!kinds.empty())
    text += (text.empty() ? "" : " and ") +
            counted(sum(kinds), "file of another kind", "files of other kinds") + " (" +
            kinds_text() + ")";
  return text.empty() ? text : "passed over: " + text;
}

bool is_leftover(std::string_view name) {
  static constexpr std::string_view kNames[] = {"__macosx",
                                                "@eadir",
                                                "@recycle",
                                                "@recently-snapshot",
                                                "@__thumb",
                                                "#recycle",
                                                "#snapshot",
                                                "$recycle.bin",
                                                "recycler",
                                                "system volume information",
                                                "lost+found",
                                                "network trash folder",
                                                "temporary items",
                                                "desktop.ini",
                                                "desktop.db",
                                                "desktop.df",
                                                "thumbs.db",
                                                "ehthumbs.db",
                                                "ehthumbs_vista.db",
                                                "picasa.ini",
                                                "icon\r",
                                                "__pycache__"};
  const std::string small = lower(name);
  return name.starts_with('.') || name.ends_with('~') ||
         std::find(std::begin(kNames), std::end(kNames), small) != std::end(kNames);
}

std::vector<std::string> folders_in(const fs::path& folder, PassedOver& passed) {
  std::vector<std::string> names;
  each_entry(folder, passed, [&](const fs::directory_entry& entry) {
    if (std::error_code ignored; entry.is_directory(ignored))
      names.push_back(entry.path().filename().string());
  });
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> folders_in(const fs::path& folder) {
  PassedOver ignored;
  return folders_in(folder, ignored);
}

std::vector<fs::path> images_in(const fs::path& folder) {
  std::vector<fs::path> images;
  PassedOver ignored;
  each_entry(folder, ignored, [&](const fs::directory_entry& entry) {
    if (is_image(entry)) images.push_back(entry.path());
  });
  std::sort(images.begin(), images.end());
  return images;
}

bool images_lie_in(const fs::path& folder) {
  return std::any_of(fs::directory_iterator(folder), fs::directory_iterator(), is_image);
}

std::vector<fs::path> image_files(const fs::path& folder, PassedOver& passed) {
  std::vector<fs::path> images;
  walk(folder, passed, images);
  std::sort(images.begin(), images.end());
  return images;
}

bool holds_images(const fs::path& folder) {
  int left = kMostEntries;
  return find_image(folder, left);
}

}  // namespace retort::data
