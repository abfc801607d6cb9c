#include "teachers/loaded_teacher.h"

#include "core/file.h"
#include "retort/core/error.h"

namespace retort::teachers {
namespace {

std::string hash_of(const Teacher& teacher) {
  uint64_t hash = hash_bytes(teacher.network.data(), teacher.network.size());
  for (const at::Tensor& tensor : {teacher.theta, teacher.state}) {
    if (!tensor.defined()) continue;
    const at::Tensor flat = tensor.contiguous();
    hash = hash_bytes(flat.data_ptr(), flat.nbytes(), hash);
  }
  return hex(hash);
}

}  // namespace

at::Tensor LoadedTeacher::logits(const at::Tensor& images, bool batch_statistics) const {
  if (!batch_statistics) return network->predict(theta, state, images);
  return network->observe({theta, state, images, {}, nets::NormMode::kBatch}, {"logits"})
      .taps.at("logits");
}

int64_t LoadedTeacher::bytes() const {
  const size_t statistics = state.defined() ? state.nbytes() : 0;
  return static_cast<int64_t>(theta.nbytes() + statistics);
}

LoadedTeacher open_teacher(const std::filesystem::path& path, TeacherUse use, at::Device device) {
  if (path.empty())
    throw ConfigError(ErrorMessage{use.doing, "no teacher is given", "--teacher and its file",
                                   "`retort squeeze` trains one"});
  use.doing += " with teacher '" + path.string() + "'";
  LoadedTeacher ready;
  ready.teacher = read_teacher(path);
  check_teacher(ready.teacher, use);
  ready.network = ready.teacher.build();
  ready.hash = hash_of(ready.teacher);
  ready.theta = ready.teacher.theta.to(device);
  if (ready.teacher.state.defined()) ready.state = ready.teacher.state.to(device);
  return ready;
}

LoadedTeacher open_teacher(const std::filesystem::path& path, const std::string& doing,
                           const data::Dataset& data, at::Device device) {
  return open_teacher(path,
                      {doing,
                       data.class_names,
                       data.preprocessing,
                       {data.channels, data.height, data.width, data.classes()},
                       data.hash,
                       data.split},
                      device);
}

std::vector<KeptStatistics> kept_statistics(const LoadedTeacher& teacher, at::ScalarType type) {
  std::vector<KeptStatistics> all;
  for (const NormLayer& layer : norm_layers(*teacher.network)) {
    const auto part = [&](int64_t offset) {
      return teacher.state.narrow(0, offset, layer.channels).to(type);
    };
    all.push_back({layer.name + ".moments", {part(layer.mean), part(layer.variance)}});
  }
  return all;
}

}  // namespace retort::teachers
