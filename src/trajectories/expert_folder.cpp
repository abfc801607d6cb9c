// A folder of experts: recipe.toml, one file an expert, records.jsonl, and a lock for the last.
#include "trajectories/expert_folder.h"
#include "core/leftovers.h"

#include <cmath>
#include <limits>
#include <set>

#include "core/file.h"
#include "core/limits.h"
#include "retort/core/device.h"
#include "retort/core/records.h"

namespace retort::trajectories {

void ExpertOptions::declare(OptionSet& options) {
  options.group("Experts");
  options.add("network", network, "the network to train; `retort list networks` shows all");
  options.add("count", count, "number of experts; a larger number adds to those that are there",
              {.min = 1, .max = 1e5});
  options.add("epochs", epochs, "passes over the data; parameters are kept after each",
              {.min = 1, .max = 1e5});
  options.add("learning_rate", learning_rate, "learning rate of plain SGD, constant",
              {.min = 1e-12, .max = 1e6});
  options.add("batch_size", batch_size, "images in one step", {.min = 1, .max = 1e6});
  options.add("augmentation", augmentation,
              "siamese augmentation: auto, none, or operations joined by _ "
              "(color_crop_cutout_flip_scale_rotate)");
  options.add("flat", flat.on, "FTD's sharpness-aware update, at twice the time");
  options.add("rho", flat.rho, "flat: how far around the parameters the loss is kept low",
              {.min = 0, .max = 1e6});
  options.add("gsam_alpha", flat.alpha,
              "flat: weight of the second term of GSAM (FTD: 1 for CIFAR-100 and Tiny ImageNet)",
              {.min = 0, .max = 1e6});
  options.add("adaptive", flat.adaptive, "flat: scale the neighbourhood by each parameter");
  options.add("snapshots", snapshots, "how parameters are kept; float16 halves the disk",
              {.choices = {"float32", "float16"}});
  options.add("seed", seed, "seed of all random draws", {.min = 0, .max = kLargestSeed});
  options.add(
      "import", imports,
      "MTT's files, replay_buffer_0.pt and so on, to convert to experts in place of training");
  options.add("shard", shard,
              "INDEX/COUNT: the experts that this job trains; jobs may share a folder", {},
              Role::kExecution);
}

bool experts_started(const std::filesystem::path& folder, const OptionSet& options) {
  return folder_started(folder, options, expert_folder_kind());
}

void open_experts(const std::filesystem::path& folder, const OptionSet& options) {
  experts_started(folder, options);  // before even a lock is left in a folder of something else
  const FolderLock lock(folder, expert_folder_kind(), true);
  experts_started(folder, options);
  const auto recipe = folder / "recipe.toml";
  remove_leftovers_in(folder);
  if (!std::filesystem::exists(recipe) || read_file(recipe) != options.toml())
    write_atomically(recipe, options.toml());
}

TrajectoryPlan plan_of(const ExpertInput& input, const std::filesystem::path& folder) {
  TrajectoryPlan plan;
  plan.folder = folder;
  plan.epochs = input.options.epochs;
  plan.parameters = input.network.parameters().size;
  plan.dtype = input.options.snapshots == "float16" ? DType::kF16 : DType::kF32;
  plan.metadata = fit_of(input.data, input.network);
  return plan;
}

ExpertResult finished_result(const TrajectoryPlan& plan) {
  const TrajectoryFile file(trajectory_path(plan.folder, plan.expert));
  check_fit(file.path, file.metadata, plan.metadata);
  file.require_whole();
  return {plan.expert, file.losses.back(), file.accuracy};
}

void record_results(const std::filesystem::path& folder, const std::vector<ExpertResult>& results,
                    std::optional<double> seconds) {
  const FolderLock lock(folder, expert_folder_kind(), true);
  const auto path = folder / "records.jsonl";
  std::set<int64_t> known;
  for (const Json& record : read_records(path))
    if (record.value("kind", "") == "expert" && record.contains("expert") &&
        record["expert"].is_number_integer())
      known.insert(record["expert"].get<int64_t>());
  RecordWriter writer(path, std::numeric_limits<int64_t>::max());
  for (const ExpertResult& result : results) {
    if (known.contains(result.expert)) continue;
    Json record{{"kind", "expert"},
                {"expert", result.expert},
                {"loss", std::isfinite(result.loss) ? Json(result.loss) : Json()},
                {"accuracy", result.accuracy}};
    if (seconds) {
      record["seconds"] = *seconds;
      record["peak_memory_bytes"] = peak_memory_bytes();
    }
    writer.write(record);
  }
}

}  // namespace retort::trajectories
