"""Tables that every stage leans on and that hold no business."""

import uuid

from django.db import models


class Tenant(models.Model):
    """One operator on this installation. The only business-free table without row security: it maps code to id."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    code = models.SlugField(max_length=63, unique=True)
    name = models.TextField(default="")
    created_at = models.DateTimeField()
