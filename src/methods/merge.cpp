#include "methods/merge.h"

#include <fmt/format.h>

#include <limits>
#include <map>

#include "core/file.h"
#include "core/sizes.h"
#include "methods/previews.h"
#include "retort/core/error.h"
#include "retort/core/recipe_folder.h"
#include "retort/core/records.h"
#include "retort/core/share.h"

namespace retort::methods {
namespace {

namespace fs = std::filesystem;

constexpr const char* kAdvice = "give one finished run for each --shard of the same options";
constexpr std::string_view kKey = "shard = \"", kWhole = "0/1";

/// A recipe as it is without shards, and the shard that it named.
struct Unsharded {
  std::string recipe;
  Share shard;
};

Unsharded unsharded(const std::string& recipe) {
  const std::string text = "\n" + recipe;
  const size_t begin = text.find("\n" + std::string(kKey));
  if (begin == std::string::npos) return {recipe, {}};
  const size_t value = begin + 1 + kKey.size(), end = text.find('"', value);
  return {(text.substr(0, value) + std::string(kWhole) + text.substr(end)).substr(1),
          parse_shard(text.substr(value, end - value))};
}

StateError refused(const fs::path& run, const std::string& found, const std::string& accepted) {
  return StateError(ErrorMessage{"merging '" + run.string() + "'", found, accepted, kAdvice});
}

/// One job's run.
struct Part {
  fs::path run;
  synthetic::Bundle bundle;
  Unsharded recipe;
  int64_t iteration = -1;
  double seconds = 0;
  std::vector<int64_t> rows;  // that it moved; empty: all
};

Part read_part(const fs::path& run) {
  Part part{run, synthetic::load_bundle(run / "distilled.safetensors"), {}, -1, 0, {}};
  part.recipe = unsharded(part.bundle.recipe);
  for (const Json& record : read_records(run / "records.jsonl")) {
    if (record.value("kind", "") != "finish") continue;
    part.iteration = record.value("iteration", int64_t{0});
    part.seconds = record.value("seconds", 0.0);
    part.rows = record.value("rows", std::vector<int64_t>());
  }
  if (part.iteration >= 0) return part;
  throw DataError(ErrorMessage{"merging '" + run.string() + "'", "its records name no end",
                               "a finished run", "finish it with the command that started it"});
}

/// Whether a part is one of `count` like the first one.
void check(const Part& part, const Part& first, int64_t count) {
  if (part.recipe.shard.count != count)
    throw refused(part.run, fmt::format("it is one shard of {}", part.recipe.shard.count),
                  fmt::format("one of {}, as many as there are runs", count));
  if (part.recipe.recipe != first.recipe.recipe)
    throw refused(part.run, "its options differ from those of '" + first.run.string() + "'", {});
  if (part.bundle.images.sizes() != first.bundle.images.sizes() ||
      !part.bundle.labels.equal(first.bundle.labels) ||
      part.bundle.data_hash != first.bundle.data_hash || part.iteration != first.iteration)
    throw refused(part.run, "it is a set of other data, sizes or iterations", {});
}

}  // namespace

Merged merge_shards(const std::vector<fs::path>& runs) {
  std::vector<Part> parts;
  for (const fs::path& run : runs) parts.push_back(read_part(run));
  const Part& first = parts.front();
  Merged merged{first.bundle, unsharded(read_file(first.run / "recipe.toml")).recipe,
                first.iteration, 0};
  merged.bundle.images = first.bundle.images.clone();
  merged.bundle.recipe = first.recipe.recipe;
  std::map<int64_t, fs::path> seen;  // by shard
  int64_t rows = 0;
  for (const Part& part : parts) {
    check(part, first, std::ssize(runs));
    const auto [before, fresh] = seen.emplace(part.recipe.shard.index, part.run);
    if (!fresh)
      throw refused(part.run, "it is the same shard as '" + before->second.string() + "'", {});
    const at::Tensor places = at::tensor(part.rows, at::kLong);
    merged.bundle.images.index_copy_(0, places, part.bundle.images.index_select(0, places));
    rows += std::ssize(part.rows);
    merged.seconds += part.seconds;
  }
  if (rows != first.bundle.images.size(0))
    throw refused(first.run, fmt::format("the runs moved {} images in all", rows),
                  fmt::format("{}, each once", first.bundle.images.size(0)));
  return merged;
}

void write_merged(const Merged& merged, const fs::path& first_run, const fs::path& folder) {
  const FolderKind kind{"run folder", {}};
  if (fs::exists(folder) && !fs::is_empty(folder))
    throw StateError(ErrorMessage{opening_folder(folder, kind), "it holds something already",
                                  "a new or empty folder", "choose another --out"});
  const FolderLock lock(folder, kind, false);
  write_atomically(folder / "recipe.toml", merged.recipe);
  RecordWriter records(folder / "records.jsonl", std::numeric_limits<int64_t>::max());
  for (const Json& record : read_records(first_run / "records.jsonl"))
    if (record.value("kind", "") == "run") records.write(record);
  save_preview(folder / "images" / "final.png", merged.bundle);
  synthetic::save_bundle(folder / "distilled.safetensors", merged.bundle);
  records.write({{"kind", "finish"},
                 {"iteration", merged.iteration},
                 {"seconds", merged.seconds},
                 {"peak_memory_bytes", 0}});
}

}  // namespace retort::methods
