//! The tables of stage `probes`, column by column.

use super::{FittedTask, Prediction};
use crate::artifact::{Error, Table};

/// The predictions in a `predictions.parquet`.
pub(super) fn predictions(parquet: &[u8]) -> Result<Vec<Prediction>, Error> {
    let table = Table::from_parquet(parquet)?;
    let (ids, tasks, clusters) = (
        table.get_str("img_id")?,
        table.get_str("task")?,
        table.get_str("cluster")?,
    );
    let (subclusters, y_true, y_pred, decision) = (
        table.get_opt_str("subcluster")?,
        table.get_u8("y_true")?,
        table.get_u8("y_pred")?,
        table.get_f64("decision")?,
    );
    let predictions = (0..ids.len())
        .map(|row| Prediction {
            img_id: ids[row].clone(),
            task: tasks[row].clone(),
            cluster: clusters[row].clone(),
            subcluster: subclusters[row].clone(),
            y_true: y_true[row],
            y_pred: y_pred[row],
            decision: decision[row],
        })
        .collect();
    Ok(predictions)
}

/// The fitted tasks in a `probes.parquet`.
pub(super) fn tasks(parquet: &[u8]) -> Result<Vec<FittedTask>, Error> {
    let table = Table::from_parquet(parquet)?;
    let (tasks, clusters, subclusters) = (
        table.get_str("task")?,
        table.get_str("cluster")?,
        table.get_opt_str("subcluster")?,
    );
    let (n_train, n_test, n_support) = (
        table.get_u32("n_train_rows")?,
        table.get_u32("n_test_rows")?,
        table.get_u32("n_support")?,
    );
    let (kernel, c, gamma) = (
        table.get_str("kernel")?,
        table.get_f64("c")?,
        table.get_f64("gamma")?,
    );
    let (cv_accuracy, bias, accuracy) = (
        table.get_opt_f64("cv_accuracy")?,
        table.get_f64("bias")?,
        table.get_f64("accuracy")?,
    );
    let tasks = (0..tasks.len())
        .map(|row| FittedTask {
            task: tasks[row].clone(),
            cluster: clusters[row].clone(),
            subcluster: subclusters[row].clone(),
            n_train_rows: n_train[row] as usize,
            n_test_rows: n_test[row] as usize,
            kernel: kernel[row].clone(),
            c: c[row],
            gamma: gamma[row],
            cv_accuracy: cv_accuracy[row],
            n_support: n_support[row] as usize,
            bias: bias[row],
            accuracy: accuracy[row],
        })
        .collect();
    Ok(tasks)
}

/// `table` with the columns of `predictions.parquet` added.
pub fn prediction_columns(table: Table, predictions: &[Prediction]) -> Table {
    table
        .str("img_id", predictions.iter().map(|row| row.img_id.as_str()))
        .str("task", predictions.iter().map(|row| row.task.as_str()))
        .str(
            "cluster",
            predictions.iter().map(|row| row.cluster.as_str()),
        )
        .opt_str(
            "subcluster",
            predictions.iter().map(|row| row.subcluster.as_deref()),
        )
        .u8("y_true", predictions.iter().map(|row| row.y_true))
        .u8("y_pred", predictions.iter().map(|row| row.y_pred))
        .f64("score", predictions.iter().map(Prediction::score))
        .f64("decision", predictions.iter().map(|row| row.decision))
}

/// `table` with the columns of `probes.parquet` added.
pub fn task_columns(table: Table, tasks: &[FittedTask]) -> Table {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "no more rows than a labels file, which stay below 2^32"
    )]
    let number = |n: usize| n as u32;
    table
        .str("task", tasks.iter().map(|task| task.task.as_str()))
        .str("cluster", tasks.iter().map(|task| task.cluster.as_str()))
        .opt_str(
            "subcluster",
            tasks.iter().map(|task| task.subcluster.as_deref()),
        )
        .u32(
            "n_train_rows",
            tasks.iter().map(|task| number(task.n_train_rows)),
        )
        .u32(
            "n_test_rows",
            tasks.iter().map(|task| number(task.n_test_rows)),
        )
        .str("kernel", tasks.iter().map(|task| task.kernel.as_str()))
        .f64("c", tasks.iter().map(|task| task.c))
        .f64("gamma", tasks.iter().map(|task| task.gamma))
        .opt_f64("cv_accuracy", tasks.iter().map(|task| task.cv_accuracy))
        .u32("n_support", tasks.iter().map(|task| number(task.n_support)))
        .f64("bias", tasks.iter().map(|task| task.bias))
        .f64("accuracy", tasks.iter().map(|task| task.accuracy))
}
