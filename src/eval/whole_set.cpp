#include "eval/whole_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "augment/siamese.h"
#include "core/file.h"
#include "core/sizes.h"

namespace retort::eval {
namespace {

namespace fs = std::filesystem;

train::TrainOptions recipe(const ScoreRun& run) {
  train::TrainOptions training;
  training.epochs = run.options.whole_set_epochs;
  training.augmentation = augment::default_strategy(run.data.mirrorable);
  return training;
}

std::string key_of(const ScoreRun& run, const synthetic::Bundle& bundle,
                   const std::string& network) {
  return json_text(Json{{"subject", "whole set"},
                        {"network", network},
                        {"epochs", run.options.whole_set_epochs},
                        {"students", run.options.whole_set_students},
                        {"seed", run.options.seed},
                        {"data", run.data.hash},
                        {"images", run.data.train.size()},
                        {"preprocessing", bundle.preprocessing.kind()}});
}

std::string bytes_of(const train::ModelState& model) {
  std::string bytes;
  for (const at::Tensor& tensor : {model.theta, model.state}) {
    if (!tensor.defined()) continue;
    const at::Tensor host = tensor.to(at::kCPU).contiguous();
    bytes.append(static_cast<const char*>(host.data_ptr()), host.nbytes());
  }
  return bytes;
}

/// Nothing where the file is not there, or not as it was written.
std::optional<train::ModelState> read_model(const fs::path& file, const nets::Network& network,
                                            const std::string& hash, at::Device device) {
  if (!fs::exists(file)) return {};
  const std::string bytes = read_file(file);
  const auto parameters = to_size(network.parameters().size),
             all = parameters + to_size(network.state().size);
  if (bytes.size() != all * sizeof(float) || hex(hash_bytes(bytes.data(), bytes.size())) != hash)
    return {};
  at::Tensor numbers = at::empty({static_cast<int64_t>(all)});
  std::memcpy(numbers.data_ptr(), bytes.data(), bytes.size());
  train::ModelState model;
  model.theta = numbers.slice(0, 0, network.parameters().size).to(device);
  if (network.state().size > 0)
    model.state = numbers.slice(0, network.parameters().size).to(device);
  return model;
}

std::vector<train::ModelState> train_students(const ScoreRun& run, const data::BatchSource& source,
                                              const nets::Network& network) {
  const train::TrainOptions training = recipe(run);
  std::vector<train::Student> students;
  for (int64_t i = 0; i < run.options.whole_set_students; ++i)
    students.push_back({&source, static_cast<uint64_t>(i)});
  Progress progress(run.style, fmt::format("{} on the whole set, epochs", network.name()),
                    train::passes(training) * run.options.whole_set_students);
  int64_t done = 0;
  train::Callbacks callbacks;
  callbacks.stop = run.stop;
  callbacks.epoch = [&](const train::Epoch& epoch) { progress.update(++done, epoch.loss); };
  return train::train_many(network, students, training,
                           {static_cast<uint64_t>(run.options.seed), "eval.whole", 0}, run.device,
                           callbacks);
}

}  // namespace

std::optional<WholeSet> train_whole(const ScoreRun& run, const synthetic::Bundle& bundle,
                                    const std::string& network_name) {
  const data::Dataset& data = run.data;
  const auto network =
      nets::make_network(network_name, {data.channels, data.height, data.width, data.classes()});
  const std::string key = key_of(run, bundle, network_name);
  const fs::path file =
      run.folder / fmt::format("whole-{}.bin", hex(hash_bytes(key.data(), key.size())));
  if (const auto found = run.kept.find(key))
    if (auto model = read_model(file, *network, found->value("hash_of_model", ""), run.device))
      return WholeSet{found->at("accuracies").get<std::vector<double>>(), std::move(*model)};
  const auto source = data::real_source(data.train, bundle.preprocessing, run.device);
  const std::vector<train::ModelState> trained = train_students(run, *source, *network);
  if (run.stop && run.stop->requested()) return {};
  WholeSet whole{{}, trained.front()};
  for (const train::ModelState& student : trained)
    whole.accuracies.push_back(
        train::accuracy(*network, student, data.test, bundle.preprocessing, run.device));
  const std::string bytes = bytes_of(whole.first);
  write_atomically(file, bytes);
  run.kept.add(key, {{"accuracies", whole.accuracies},
                     {"hash_of_model", hex(hash_bytes(bytes.data(), bytes.size()))}});
  return whole;
}

}  // namespace retort::eval
