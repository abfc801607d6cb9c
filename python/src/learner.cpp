// Students that Python trains.
#include "learner.h"

#include <pybind11/functional.h>
#include <pybind11/stl.h>

#include "python_objects.h"
#include "retort/losses/losses.h"

namespace retort::python {
namespace {

using eval::Lesson;
using train::LabelledBatch;

/// Empty where Python gave None.
eval::Predict predict_by(const py::object& function) {
  if (function.is_none()) return {};
  return [function = Kept(function)](const at::Tensor& images) {
    const py::gil_scoped_acquire held;
    return (*function)(images).cast<at::Tensor>();
  };
}

eval::Learned learned(const py::object& answer) {
  const auto [predict, average] = answer.cast<std::pair<py::object, py::object>>();
  return {predict_by(predict), predict_by(average)};
}

bool done(const Lesson& lesson, int64_t epoch, double loss, const py::object& now) {
  const eval::Predict predict = predict_by(now);
  const py::gil_scoped_release released;
  return lesson.done(epoch, loss, predict);
}

LabelledBatch batch(const Lesson& lesson, int64_t epoch, int64_t number) {
  const py::gil_scoped_release released;
  const at::NoGradGuard no_graph;
  return lesson.batch(epoch, number);
}

}  // namespace

std::vector<eval::Learner> learners_of(const py::dict& functions) {
  std::vector<eval::Learner> all;
  for (const auto& [name, function] : functions)
    all.push_back(
        {name.cast<std::string>(),
         [train = Kept(py::reinterpret_borrow<py::object>(function))](const Lesson& lesson) {
           const py::gil_scoped_acquire held;
           return learned((*train)(py::cast(lesson, py::return_value_policy::copy)));
         }});
  return all;
}

void bind_learner(py::module_& module) {
  py::class_<LabelledBatch>(module, "LabelledBatch")
      .def_readonly("images", &LabelledBatch::images)
      .def_property_readonly("targets", [](const LabelledBatch& b) { return b.targets.values; })
      .def("loss", [](const LabelledBatch& b, const at::Tensor& logits) {
        return losses::mean_loss(logits, b.targets);
      });
  py::class_<train::TrainOptions>(module, "TrainOptions")
      .def_readonly("optimizer", &train::TrainOptions::optimizer)
      .def_readonly("learning_rate", &train::TrainOptions::learning_rate)
      .def_readonly("momentum", &train::TrainOptions::momentum)
      .def_readonly("weight_decay", &train::TrainOptions::weight_decay)
      .def_readonly("decay_weights_only", &train::TrainOptions::decay_weights_only)
      .def_readonly("average_decay", &train::TrainOptions::average_decay);
  py::class_<Lesson>(module, "Lesson")
      .def_readonly("network", &Lesson::network)
      .def_readonly("subject", &Lesson::subject)
      .def_readonly("student", &Lesson::student)
      .def_readonly("seed", &Lesson::seed)
      .def_readonly("training", &Lesson::training)
      .def_readonly("epochs", &Lesson::epochs)
      .def_readonly("batches", &Lesson::batches)
      .def_property_readonly("device", [](const Lesson& lesson) { return lesson.device.str(); })
      .def("batch", &batch, py::arg("epoch"), py::arg("batch"))
      .def("rate",
           [](const Lesson& l, int64_t epoch, int64_t number) { return l.rate(epoch, number); })
      .def("resets", [](const Lesson& l, int64_t epoch) { return l.resets(epoch); })
      .def("done", &done, py::arg("epoch"), py::arg("loss"), py::arg("now"));
}

}  // namespace retort::python
