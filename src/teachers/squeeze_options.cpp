// What may be asked of a teacher's training.
#include <fmt/format.h>

#include <algorithm>

#include "core/limits.h"
#include "retort/core/error.h"
#include "teachers/squeeze.h"

namespace retort::teachers {

void SqueezeOptions::declare(OptionSet& set) {
  set.group("Squeeze");
  set.add("network", network, "the teacher's network; `retort list networks` shows all");
  set.add("objective", objective, "what it is trained for",
          {.choices = {"supervised", "moco", "simsiam"}});
  set.add("images", images, "number of training images, drawn once by --split-seed; 0: all",
          {.min = 0});
  set.add("epochs", epochs, "passes over them; 0: the untrained network", {.min = 0, .max = 1e5});
  set.add("learning_rate", learning_rate,
          "learning rate of SGD at the beginning; it falls to 0 along half a cosine",
          {.min = 0, .max = 1e3});
  set.add("momentum", momentum, "momentum of SGD", {.min = 0, .max = 0.9999});
  set.add("weight_decay", weight_decay, "weight decay", {.min = 0, .max = 1});
  set.add("batch_size", batch_size, "images in one step", {.min = 2, .max = 1e6});
  set.add("warmup_epochs", warmup_epochs,
          "epochs in which the rate first rises, in a straight line from a hundredth of it",
          {.min = 0});
  set.add("augmentation", augmentation,
          "shift_flip: padded crops; crop_flip: resized crops; views: those of MoCo v2",
          {.choices = {"auto", "none", "shift", "shift_flip", "crop_flip", "views"}});
  set.add("projection", projection,
          "moco, simsiam: length of the projection that images are compared by",
          {.min = 2, .max = 65536});
  set.add("temperature", temperature, "moco: temperature of the similarities",
          {.min = 1e-3, .max = 100});
  set.add("queue", queue, "moco: number of keys kept from earlier batches",
          {.min = 1, .max = 1 << 24});
  set.add("key_momentum", key_momentum, "moco: momentum of the network that makes keys",
          {.min = 0, .max = 1});
  set.add("splits", splits,
          "moco: number of parts of a batch of keys, each with BatchNorm of its own",
          {.min = 1, .max = 1024});
  set.add("probe_epochs", probe_epochs,
          "self-supervised: epochs of the linear classifier on frozen features",
          {.min = 0, .max = 1e5});
  set.add("probe_learning_rate", probe_learning_rate, "learning rate of that classifier (AdamW)",
          {.min = 0, .max = 1e3});
  set.add("statistics", statistics,
          "BatchNorm statistics: as trained, or recalibrated on images without augmentation",
          {.choices = {"training", "recalibrated"}});
  set.add("statistics_images", statistics_images, "largest number of images for the recalibration",
          {.min = 2});
  set.add("keep_every", keep_every, "epochs between teachers that are kept; 0: only the last is",
          {.min = 0});
  set.add("checkpoint_every", checkpoint_every, "epochs between checkpoints", {.min = 1},
          Role::kExecution);
  set.add("seed", seed, "seed of all random draws", {.min = 0, .max = kLargestSeed});
}

void check_squeeze(const SqueezeInput& input) {
  const std::string doing = "squeezing into '" + input.network.name() + "'";
  const SqueezeOptions& options = input.options;
  if (input.data.preprocessing.kind() == "zca")
    throw ConfigError(ErrorMessage{doing, "--normalisation zca", "auto, computed or none",
                                   "views and pixel boxes need one mean and deviation a channel"});
  const int64_t size = options.images > 0 ? std::min(options.images, input.data.train.size())
                                          : input.data.train.size();
  if (options.objective != "supervised" && size < 2 * options.splits)
    throw ConfigError(ErrorMessage{doing, fmt::format("{} training images", size),
                                   fmt::format("two for each of {} splits", options.splits),
                                   "lower --splits"});
  if (options.objective == "moco" && options.queue < std::min(options.batch_size, size))
    throw ConfigError(ErrorMessage{doing,
                                   fmt::format("--queue {}", options.queue),
                                   fmt::format("at least the batch of {}", options.batch_size),
                                   {}});
}

FolderKind squeeze_folder_kind() {
  return {"folder of a teacher", ""};
}

std::filesystem::path teacher_path(const std::filesystem::path& folder) {
  return folder / "teacher.safetensors";
}

}  // namespace retort::teachers
