from django.db import migrations, models


def judged(apps, schema_editor):
    """Of older verdicts: as many images as had arrived when they were given."""
    reviews = apps.get_model("clinic", "Review").objects
    images = apps.get_model("clinic", "Instance").objects.filter(role="image")
    for review in reviews.select_related("prediction").iterator():
        of_study = images.filter(series__study=review.prediction.study_id)
        there = of_study.filter(arrived__lte=review.created)
        newest = there.aggregate(newest=models.Max("revision"))["newest"] or 1
        revision = max(newest, review.prediction.revision)
        reviews.filter(pk=review.pk).update(revision=revision)


class Migration(migrations.Migration):

    dependencies = [
        ('clinic', '0013_measurements'),
    ]

    operations = [
        migrations.AddField(
            model_name='review',
            name='revision',
            field=models.PositiveIntegerField(default=1, help_text="Of the study as it was judged; its reading may be an earlier one's"),
            preserve_default=False,
        ),
        migrations.RunPython(judged, migrations.RunPython.noop),
    ]
