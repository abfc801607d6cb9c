// The options that every method shares.
#include "core/limits.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "retort/methods/distill.h"
#include "retort/synthetic/parametrisation.h"

namespace retort::methods {

void DistillOptions::take(const LoopDefaults& defaults) {
  iterations = defaults.iterations;
  image_learning_rate = defaults.image_learning_rate;
  image_momentum = defaults.image_momentum;
  initialisation = defaults.initialisation;
  network = defaults.network;
  protocol = defaults.protocol;
  augmentation = defaults.augmentation;
  image_optimiser = defaults.image_optimiser;
  image_schedule = defaults.image_schedule;
  clip_norm = defaults.clip_norm;
  image_beta2 = defaults.image_beta2;
  clamp_pixels = defaults.clamp_pixels;
}

void DistillOptions::declare(OptionSet& options) {
  options.group("Distillation");
  options.add("method", method, "the method; `retort list methods` shows all");
  options.add("images_per_class", images_per_class,
              "a number, proportional:TOTAL, or a file of CLASS=COUNT lines");
  options.add("network", network, "the network to distil with; `retort list networks` shows all");
  std::vector<std::string> parametrisations;
  for (const auto& entry : synthetic::parametrisation_table())
    parametrisations.push_back(entry.name);
  options.add("parametrisation", parametrisation, "what is learned", {.choices = parametrisations});
  options.add("initialisation", initialisation, "where the images start",
              {.choices = {"real", "noise"}});
  options.add("init_from", init_from, "a bundle to start from, in place of --initialisation");
  options.add("augmentation", augmentation,
              "siamese augmentation: auto, none, or operations joined by _ "
              "(color_crop_cutout_flip_scale_rotate)");
  options.add("protocol", protocol,
              "how students are trained on the result; `retort list protocols` shows all");
  options.add("iterations", iterations, "number of iterations of the distillation",
              {.min = 0, .max = 1e9});
  options.add("image_learning_rate", image_learning_rate,
              "step size of the optimiser that moves the images", {.min = 0});
  options.add("image_momentum", image_momentum,
              "momentum of that optimiser (beta1 of adam, adamw and lamb)",
              {.min = 0, .max = 0.9999});
  options.add("image_optimiser", image_optimiser, "the optimiser that moves the images",
              {.choices = optim::optimizer_names()});
  options.add("image_beta2", image_beta2, "beta2 of adam, adamw and lamb",
              {.min = 0, .max = 0.999999});
  options.add(
      "image_schedule", image_schedule,
      "how that step size changes over the run: cosine ends at 0, slow_cosine at half of it, "
      "halving halves it after every tenth of the run, drop divides it by ten in the middle",
      {.choices = optim::schedule_names()});
  options.add("clip_norm", clip_norm,
              "largest norm of all gradients of an iteration together; longer ones are scaled "
              "down; 0: no limit",
              {.min = 0});
  options.add("clamp_pixels", clamp_pixels,
              "keep stored pixels between black and white after every step");
  options.add("seed", seed, "seed of all random draws", {.min = 0, .max = kLargestSeed});
  options.add("validate_every", validate_every,
              "iterations between validations on the validation part (needs "
              "--validation-fraction); 0: none",
              {.min = 0}, Role::kExecution);
  options.add("record_every", record_every, "iterations between loss records", {.min = 1},
              Role::kExecution);
  options.add("checkpoint_every", checkpoint_every, "iterations between checkpoints", {.min = 1},
              Role::kExecution);
}

}  // namespace retort::methods
