// A teacher of the toy data set, trained once for a test program.
#pragma once

#include <string>

#include "methods/toy.h"
#include "retort/data/batch_source.h"
#include "retort/teachers/teacher.h"
#include "retort/train/trainer.h"
#include "support/device.h"
#include "support/support.h"

namespace retort::tests {

/// Ten epochs of a small ConvNet with BatchNorm on toy_dataset(). It calls itself imported: every
/// method takes it.
inline teachers::Teacher toy_teacher(const std::string& name = "convnet-w4-d2-bn") {
  const data::Dataset data = toy_dataset();
  teachers::Teacher teacher;
  teacher.network = name;
  teacher.shape = {data.channels, data.height, data.width, data.classes()};
  const auto network = teacher.build();
  const auto source = data::real_source(data.train, data.preprocessing, device());
  train::TrainOptions options;
  options.epochs = 10;
  options.batch_size = 12;
  options.learning_rate = 0.05;
  options.schedule = "cosine";
  const train::ModelState trained =
      train::train(*network, *source, options, {0, "toy.teacher", 0}, device());
  teacher.theta = trained.theta;
  teacher.state = trained.state;
  teacher.preprocessing = data.preprocessing;
  teacher.class_names = data.class_names;
  teacher.data_name = data.name;
  teacher.data_hash = data.hash;
  teacher.objective = "imported";
  teacher.epochs = options.epochs;
  return teacher;
}

/// Its file.
inline std::string toy_teacher_file(const std::string& name = "convnet-w4-d2-bn") {
  static const TempFolder folder;
  const std::filesystem::path path = folder / (name + ".safetensors");
  if (!std::filesystem::exists(path)) teachers::write_teacher(path, toy_teacher(name));
  return path.string();
}

}  // namespace retort::tests
