// A short run of any method on the toy data.
#pragma once

#include <algorithm>
#include <map>
#include <string>

#include "core/registry.h"
#include "methods/toy.h"
#include "methods/toy_experts.h"
#include "methods/toy_teacher.h"
#include "retort/methods/experiment.h"
#include "support/device.h"

namespace retort::tests {

/// One run of a method on toy data.
struct ToyRun {
  data::Dataset data = toy_dataset();
  methods::Experiment experiment;
  methods::DistillOptions& options = experiment.settings();
  OptionSet& set = experiment.options();
  StopFlag stop;
  at::Device device = tests::device();

  explicit ToyRun(const methods::MethodEntry& entry, int64_t iterations = 4,
                  const std::string& parametrisation = "pixels")
      : experiment(entry.name, parametrisation) {
    options.network = "convnet-w4-d2";
    options.images_per_class = "2";
    options.iterations = iterations;
    options.image_learning_rate = std::min(options.image_learning_rate, 10.0);
    options.record_every = 1;
    options.checkpoint_every = 1;
    Problems problems;
    for (const auto& [name, text] : std::map<std::string, std::string>{
             {"real_batch", "5"},
             {"selection_epochs", "2"},
             {"inner_loop", "2"},
             {"pool_size", "2"},
             {"pool_steps", "1"},
             {"experts", set.find("experts") && entry.name != "dm" ? toy_experts() : ""},
             {"teacher", set.find("teacher") ? toy_teacher_file() : ""},
             {"group_size", "2"},
             {"roll", "2"},
             {"inner_steps", "3"},
             {"expert_epochs", "1"},
             {"max_start_epoch", "2"},
             {"first_max_start_epoch", "1"},
             {"synthetic_batch", "4"},
             {"skip_above", "100"},
             {"frequency_arguments", "48"},
             {"watched", "2"},
             {"max_matching_steps", "3"},
             {"max_inner_epochs", "2"},
             {"anchor_candidates", "5"},
             {"bases", "5"},
             {"addressers", "3"},
             {"frequencies", "40"}})
      if (set.find(name)) set.set(name, text, "toy", problems);
    problems.raise("toy");
  }
  methods::DistillOutcome run(const std::filesystem::path& path,
                              const ProcessGroup& group = ProcessGroup::alone()) {
    methods::RunSettings how;
    how.stop = &stop;
    how.device = device;
    how.group = &group;
    return experiment.run(data, path, how);
  }
};

}  // namespace retort::tests
